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
    from registry.secret_store import AskPassphrase
    from registry.settings import Settings


def open_connections(
    registry: PluginRegistry,
    paths: Paths,
    settings: Settings,
    *,
    ask_passphrase: AskPassphrase | None = None,
) -> Connections:
    """The accounts that are signed in; whoever opens them closes them. What is wrong with them is shown.

    Args:
        registry: which plugin has a provider.
        paths: where the list of connections is.
        settings: which store new secrets go to.
        ask_passphrase: asks for the passphrase of the encrypted file; without it only `JACKFIELD_PASSPHRASE`
            gives one.
    """
    stores = SecretStores(paths, settings.secrets.store, ask_passphrase)
    return Connections(registry, paths, stores, complain=show_error)
