"""The embedded model: a small demo model that runs on this machine, so that chatting needs no account.

It is fetched when it is first asked something, runs in a process of its own, and answers as any provider
does. This module holds what is known of it beforehand; the work is in `providers.embedded`, which is imported
with the first request.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from jackfield import ErrorKind, Model, Parameter, Plugin, Provider, ProviderError

if TYPE_CHECKING:
    from jackfield import ChatRequest, Credential, PluginContext, StreamEvent
    from providers.embedded.chat import EmbeddedChat

MODEL: Final = Model(
    id="smollm2-135m-instruct",
    name="offline demo model (SmolLM2 135M)",
    context_window=4096,
    output_limit=2048,
)


class LocalPlugin(Plugin):
    """Offers the embedded model."""

    name = "local"
    version = "0.1.0"
    summary = "A small demo model that runs on this machine, offline and without an account"
    on_by_default = True

    def __init__(self) -> None:
        self._provider = LocalProvider()

    def on_init(self, ctx: PluginContext) -> None:
        """Take the folder that the model is kept in."""
        self._provider.use(ctx)

    def providers(self) -> Sequence[Provider]:
        """The embedded model, whether or not it was fetched yet."""
        return (self._provider,)


class LocalProvider(Provider):
    """Answers with the embedded model. Nothing is fetched or started before the first request."""

    name = "local"
    title = "Offline demo model"
    known_models = (MODEL,)

    def __init__(self) -> None:
        self._ctx: PluginContext | None = None
        self._chat: EmbeddedChat | None = None
        self._making = threading.Lock()

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's corner, without which no request can be answered."""
        self._ctx = ctx

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """Temperature and length."""
        return (Parameter.temperature(), Parameter.max_tokens(MODEL.output_limit))

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a request; with `Progress` before it while the model is fetched, started or reads.

        Raises:
            ProviderError: the model cannot be fetched or started here, or broke off.
        """
        if request.model != MODEL.id:
            raise ProviderError(
                ErrorKind.NOT_FOUND,
                "The offline demo model has another name",
                detail=f"There is no model {request.model!r} here.",
                hint=f"Choose {MODEL.id}.",
            )
        chat = await self._open()
        async with aclosing(chat.stream(request)) as events:
            async for event in events:
                yield event

    async def aclose(self) -> None:
        """End the model's process."""
        if self._chat is not None:
            await self._chat.aclose()

    async def _open(self) -> EmbeddedChat:
        import asyncio  # like all below, not needed to say what there is

        if self._ctx is None:
            raise ProviderError(ErrorKind.UNAVAILABLE, "The offline demo model is switched off")
        if self._chat is None:
            # In a thread: httpx takes long to import and to make a client, and a screen is being drawn.
            return await asyncio.to_thread(self._make_chat, self._ctx)
        return self._chat

    def _make_chat(self, ctx: PluginContext) -> EmbeddedChat:
        from providers.embedded.chat import EmbeddedChat

        with self._making:
            if self._chat is None:
                self._chat = EmbeddedChat(ctx)
            return self._chat
