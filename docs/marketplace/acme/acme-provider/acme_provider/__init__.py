"""The models of Acme, signed in to with the browser (authorization code with PKCE)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jackfield import AuthMethod, Capabilities, OAuthCode, Plugin, PluginContext, Provider

from .provider import Acme

__version__ = "1.0.0"

_FILE: Final = Path(__file__).with_name("server.toml")
_SERVER: Final[dict[str, str]] = tomllib.loads(_FILE.read_text("utf-8"))


class AcmePlugin(Plugin):
    """One provider and one way to sign in. The app runs the sign-in and keeps the tokens."""

    name = "acme-provider"
    version = __version__
    summary = "The models of Acme, signed in to with the browser"
    capabilities = Capabilities(hosts=(urlsplit(_SERVER["base_url"]).netloc,), environment=("ACME_BASE_URL",))
    data_files = (_FILE,)

    def __init__(self) -> None:
        self._provider = Acme()

    def on_init(self, ctx: PluginContext) -> None:
        """Find the server: the option `base_url`, else the environment variable, else where Acme is."""
        url = ctx.options.get("base_url") or os.environ.get("ACME_BASE_URL") or _SERVER["base_url"]
        self._provider.open(ctx, str(url).rstrip("/"))

    def auth_methods(self) -> Sequence[AuthMethod]:
        """Sign in with the browser."""
        return [
            OAuthCode(
                label="Acme account",
                issuer=_SERVER["issuer"],
                client_id=_SERVER["client_id"],
                scopes=("chat", "offline_access"),
            )
        ]

    def providers(self) -> Sequence[Provider]:
        """The models of Acme."""
        return [self._provider]
