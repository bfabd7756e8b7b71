"""What an attacker, or a broken server, does to a marketplace."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Targets
from tuf.ngclient._internal import trusted_metadata_set

from registry.marketplace.publishing.build import DRAFT
from registry.marketplace.repository import CATALOGUE, unzipped, zipped
from tests.registry.marketplace.site import Site


def catalogue_file(site: Site) -> Path:
    """The signed catalogue that is served."""
    newest = max((site.out / "targets").glob(f"*.{CATALOGUE}"), key=lambda file: file.stat().st_mtime_ns)
    return Path(newest)


def artefact_file(site: Site) -> Path:
    """The one file of a version."""
    return next((site.out / "files").glob("*/*"))


def flip_last_byte(file: Path) -> None:
    """Change a file and keep its size."""
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def state_of(site: Site, folder: Path) -> Callable[[], None]:
    """Keep all that is served now; the function that comes back serves it again."""
    shutil.copytree(site.out, folder)

    def restore() -> None:
        shutil.rmtree(site.out)
        shutil.copytree(folder, site.out)

    return restore


def change_draft(site: Site, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what `build` made, as a publisher with a build of its own could; `sign` then signs it."""
    file = site.out / DRAFT / CATALOGUE
    data = json.loads(unzipped(file.read_bytes()))
    change(data)
    file.write_bytes(zipped(json.dumps(data).encode()))


def sign_targets(site: Site, change: Callable[[Targets], None]) -> None:
    """Sign a list of targets that `sign` would never make."""
    file = max((site.out / "metadata").glob("*.targets.json"))
    metadata: Metadata[Targets] = Metadata.from_file(str(file))
    change(metadata.signed)
    for signer in site.keys.signers([key.keyid for key in site.keys.roles["targets"].keys]):
        metadata.sign(signer)
    metadata.to_file(str(file))


def set_clock(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> Callable[[], datetime]:
    """Have the client believe that it is another time; gives its clock."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + ahead

    module = SimpleNamespace(datetime=Clock, timezone=timezone)
    monkeypatch.setattr(trusted_metadata_set, "datetime", module)
    return lambda: datetime.now(UTC) + ahead


@contextmanager
def endless_server(site: Site, endless: str) -> Iterator[str]:
    """A server that never stops sending when asked for what has `endless` in its address."""
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = site.out / self.path.lstrip("/")
            if endless in self.path:
                self.send_response(200)
                self.end_headers()
                self._pour()
            elif file.is_file():
                self.send_response(200)
                self.end_headers()
                self.wfile.write(file.read_bytes())
            else:
                self.send_error(404)

        def _pour(self) -> None:
            try:
                while not stopped.is_set():
                    self.wfile.write(b"0" * 65536)
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()
