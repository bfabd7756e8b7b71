"""What the chat knows of models beside what their providers say; nothing until a model needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.catalogue.catalogue import Catalogue, forget_catalogue, shared_catalogue
from tui.account import Account, settle
from tui.recent_models import remember_model

if TYPE_CHECKING:
    from registry.models import ModelChoice
    from tui.conversation import Entry
    from tui.host import Host


class Facts:
    """The catalogue, as the chat screen uses it.

    Args:
        host: paths and settings.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._catalogue: Catalogue | None = None
        self._needed = asyncio.Event()

    async def load(self) -> AsyncIterator[None]:
        """Load the catalogue, then a newer one if the user named a server that has it; yields after each.

        It waits for the first model that may be in it: the catalogue takes megabytes, and who chats with the
        models of this machine has no use for it.

        Raises:
            JackfieldError: the server did not give a newer one.
        """
        await self._needed.wait()
        self._catalogue = await asyncio.to_thread(shared_catalogue, self._host.paths)
        yield
        settings = self._host.settings.catalogue
        if not settings.refresh or not settings.url:
            return
        from registry.catalogue.refresh import Refreshed, refresh_if_due  # needed by few

        if await refresh_if_due(self._host.paths, settings) is Refreshed.REPLACED:
            forget_catalogue()
            self._catalogue = await asyncio.to_thread(shared_catalogue, self._host.paths)
            yield

    def enrich(self, choice: ModelChoice) -> ModelChoice:
        """The choice with what its provider did not say of the model."""
        self._need(choice.provider.name)
        if self._catalogue is None:
            return choice
        return replace(choice, model=self._catalogue.enrich(choice.provider.name, choice.model))

    def account(self, entries: Sequence[Entry], choice: ModelChoice | None) -> Account:
        """What a conversation has used; without costs until the catalogue is loaded."""
        for entry in entries:
            if entry.usage and entry.message.model:
                self._need(entry.message.model.partition("/")[0])
        window = choice.model.context_window if choice else None
        return settle(entries, window, self._catalogue or Catalogue())

    def _need(self, provider: str) -> None:
        """Have the catalogue loaded, unless nobody signs in to the provider: nobody pays it either."""
        if self._needed.is_set():
            return
        registry = self._host.registry
        plugin = next((entry.plugin for entry in registry.providers() if entry.name == provider), None)
        signs_in = {entry.plugin for entry in registry.auth_methods()}
        if plugin is None or plugin in signs_in:
            self._needed.set()

    async def remember(self, choice: ModelChoice) -> None:
        """Note that a model was used."""
        await asyncio.to_thread(remember_model, self._host.paths, choice.reference)
