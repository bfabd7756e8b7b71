"""The connections, as commands use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.connections import Connections
from registry.secret_store import SecretStores
from tui.cli.answers import Answers
from tui.cli.output import show_error
from tui.cli.passphrase import PassphrasePrompt

if TYPE_CHECKING:
    from registry.paths import Paths
    from registry.registry import PluginRegistry
    from registry.settings import Settings


def open_connections(registry: PluginRegistry, paths: Paths, settings: Settings) -> Connections:
    """The accounts that are signed in; whoever opens them closes them. What is wrong with them is shown.

    Where the passphrase of the encrypted file is needed and `JACKFIELD_PASSPHRASE` is not set, a person on a
    terminal is asked.

    Args:
        registry: which plugin has a provider.
        paths: where the list of connections is.
        settings: which store new secrets go to.
    """
    return Connections(registry, paths, open_stores(paths, settings, Answers()), complain=show_error)


def open_stores(paths: Paths, settings: Settings, answers: Answers) -> SecretStores:
    """Where secrets are kept.

    Args:
        paths: where the encrypted file is.
        settings: which store new secrets go to.
        answers: who is asked for a passphrase.
    """

    async def ask_passphrase(new: bool) -> str | None:
        return await PassphrasePrompt(stores.file, answers).ask(new)

    stores = SecretStores(paths, settings.secrets.store, ask_passphrase)
    return stores
