"""The server behind `account_plugin`, and a home in which that plugin is installed and off."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from registry.encrypted_file_store import EncryptedFileStore
from tests.tui.cli_harness import Shell

PASSPHRASE = "a passphrase for tests of accounts"
WRONG = "wrong"
"""How a key begins that the server refuses."""


@dataclass
class VaultServer:
    """A server that answers to its key, and repeats it in what it says when something is wrong."""

    url: str
    tokens: list[str] = field(default_factory=list)
    """What it was asked with, in order."""


@contextmanager
def vault_server() -> Iterator[VaultServer]:
    """A server that runs on a thread."""
    vault = VaultServer("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
            vault.tokens.append(token)
            if not token or token.startswith(WRONG):
                self._say(401, f"{token} is not known here")
            elif self.path == "/refuse":
                self._say(500, f"failed for {token}, sorry, {token}")
            else:
                self._say(200, f"Opened the vault for {len(token)} signs.")

        def _say(self, status: int, said: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"said": said}).encode())

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vault.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield vault
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def install_vault(folder: Path, *, service: str, issuer: str) -> Shell:
    """A home that knows the plugin, sent to these servers; to be copied for each test."""
    site, home = folder / "site", folder / "home"
    info = site / "vault_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    home.mkdir()
    text = Path(__file__).with_name("account_plugin.py").read_text(encoding="utf-8")
    text = text.replace("@SERVICE@", service).replace("@ISSUER@", issuer)
    (site / "vault_plugin.py").write_text(text, encoding="utf-8")
    metadata = "Metadata-Version: 2.1\nName: vault-plugin\nVersion: 1.0\nAuthor: Vault\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    entry = "[jackfield.plugins]\nvault = vault_plugin:VaultPlugin\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
    shell = Shell(home, site)
    listed = shell.run("plugins", "list")
    assert listed.code == 0, listed.err
    return shell


def new_vault_home(installed: Shell, home: Path, **env: str) -> Shell:
    """A home of its own for a test."""
    shutil.copytree(installed.home, home)
    return Shell(home, installed.site, env)


async def use_cheap_file(shell: Shell) -> Shell:
    """The same home, where secrets go to an encrypted file whose key costs little to derive."""
    store = EncryptedFileStore(shell.home / "data" / "secrets.encrypted", PASSPHRASE, work=2**10)
    await store.set("tests", "first", "so that the file is made")
    shell.config.parent.mkdir(parents=True, exist_ok=True)
    shell.config.write_text('[secrets]\nstore = "file"\n', encoding="utf-8")
    return Shell(shell.home, shell.site, {**shell.env, "JACKFIELD_PASSPHRASE": PASSPHRASE})
