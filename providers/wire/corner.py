"""A provider's corner of the app: the options that the user wrote for it, and its HTTP clients."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jackfield import ErrorKind, ProviderError, safe_text

if TYPE_CHECKING:
    import httpx

    from jackfield import PluginContext


class Corner:
    """What a provider has of its plugin once that is on. A client is made with the first request.

    Args:
        title: how the user calls the provider.
        reasoning: hosted servers send nothing while their model thinks.
    """

    def __init__(self, title: str, *, reasoning: bool = False) -> None:
        self._title = title
        self._reasoning = reasoning
        self._ctx: PluginContext | None = None
        self._clients: dict[bool, httpx.AsyncClient] = {}
        self._making = threading.Lock()

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's context, without which no server can be asked."""
        self._ctx = ctx

    def given(self, name: str) -> object:
        """An option as it is in config.toml; None when it is not set."""
        return None if self._ctx is None else self._ctx.options.get(name)

    def option(self, name: str) -> str:
        """An option that is text, empty when it is not set.

        Raises:
            ProviderError: it is no text.
        """
        value = self.given(name)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        raise self.wrong(name, value, f'Write {name} = "...".')

    def wrong(self, name: str, value: object, hint: str) -> ProviderError:
        """The error that an option with this value is."""
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"The option {name} of {self._title} cannot be used",
            detail=safe_text(f"It is {value!r}.", limit=200),
            hint=safe_text(hint, limit=500),
        )

    async def opened(self, *, local: bool) -> httpx.AsyncClient:
        """The client for servers on this machine (`local`), or for all others.

        Raises:
            ProviderError: the plugin is off, or its options `ca_bundle` and `proxy` cannot be used.
        """
        import asyncio  # like httpx, not needed to say what there is

        if self._ctx is None:
            raise ProviderError(
                ErrorKind.UNAVAILABLE, f"{self._title} is switched off", hint="Switch its plugin on."
            )
        if local in self._clients:
            return self._clients[local]
        # In a thread: httpx takes long to import and to make a client, and a screen is being drawn.
        return await asyncio.to_thread(self._make_client, self._ctx, local=local)

    def _make_client(self, ctx: PluginContext, *, local: bool) -> httpx.AsyncClient:
        from providers.wire.transport import open_client, open_local_client

        with self._making:
            if local not in self._clients:
                self._clients[local] = (
                    open_local_client(ctx) if local else open_client(ctx, reasoning=self._reasoning)
                )
            return self._clients[local]
