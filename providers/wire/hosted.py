"""What providers with a server on the internet have in common: an address, a client, a key."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jackfield import ErrorKind, ProviderError, safe_text

if TYPE_CHECKING:
    import httpx

    from jackfield import Credential, PluginContext

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SCHEMES: Final = ("http://", "https://")


class HostedServer:
    """One server as a plugin's options name it. The client is made with the first request.

    Args:
        title: how the user calls the provider.
        url: where the server is, unless the option `base_url` or the environment says otherwise.
        url_env: the environment variable that may hold another address, as official clients have it.
        reasoning: the server sends nothing while its model thinks.
    """

    def __init__(self, title: str, url: str, *, url_env: str, reasoning: bool = False) -> None:
        self._title = title
        self._url = url
        self._url_env = url_env
        self._reasoning = reasoning
        self._ctx: PluginContext | None = None
        self._client: httpx.AsyncClient | None = None
        self._making = threading.Lock()

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's corner, without which the server cannot be asked."""
        self._ctx = ctx

    def option(self, name: str) -> str:
        """An option from config.toml, empty when it is not set.

        Raises:
            ProviderError: it is no text.
        """
        value = None if self._ctx is None else self._ctx.options.get(name)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        raise self._wrong(name, value, f'Write {name} = "...".')

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end.

        Raises:
            ProviderError: it is no address.
        """
        given = self.option("base_url") or os.environ.get(self._url_env, "").strip() or self._url
        address = given.rstrip("/")
        try:
            hostname = urlsplit(address).hostname
        except ValueError:
            hostname = None
        if not address.startswith(_SCHEMES) or not hostname:
            raise self._wrong(
                "base_url", address, f'Write it as in base_url = "{self._url}", or unset {self._url_env}.'
            )
        return address

    @property
    def is_usual(self) -> bool:
        """Whether this is the server that the provider was written for."""
        return self.url == self._url

    async def opened(self) -> httpx.AsyncClient:
        """The client.

        Raises:
            ProviderError: the plugin is off, or its options cannot be used.
        """
        import asyncio  # like httpx, not needed to say what there is

        if self._ctx is None:
            raise ProviderError(
                ErrorKind.UNAVAILABLE, f"{self._title} is switched off", hint="Switch its plugin on."
            )
        if self._client is None:
            # In a thread: httpx takes long to import and to make a client, and a screen is being drawn.
            return await asyncio.to_thread(self._make_client, self._ctx)
        return self._client

    def _make_client(self, ctx: PluginContext) -> httpx.AsyncClient:
        from providers.wire.transport import open_client, open_local_client

        with self._making:
            if self._client is None:
                here = urlsplit(self.url).hostname in _LOOPBACK
                self._client = open_local_client(ctx) if here else open_client(ctx, reasoning=self._reasoning)
            return self._client

    def _wrong(self, name: str, value: object, hint: str) -> ProviderError:
        return ProviderError(
            ErrorKind.BAD_REQUEST,
            f"The option {name} of {self._title} cannot be used",
            detail=safe_text(f"It is {value!r}.", limit=200),
            hint=hint,
        )


def key_of(credential: Credential | None, *, title: str, env: str, key_url: str) -> str:
    """The key of a credential.

    Args:
        credential: what signing in yielded.
        title: how the user calls the provider.
        env: the environment variable that may hold the key.
        key_url: where the user gets one.

    Raises:
        ProviderError: there is no key.
    """
    secret = None if credential is None else credential.secrets.get("key")
    key = "" if secret is None else secret.get_secret_value().strip()
    if not key:
        raise ProviderError(
            ErrorKind.AUTH,
            f"There is no key for {title}",
            hint=f"Sign in, or set {env} before you start. Keys are made at {key_url}.",
        )
    return key
