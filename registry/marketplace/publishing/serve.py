"""Serves a marketplace to this machine alone, for trying it before it is put on a real server."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Final

from registry.marketplace.publishing.build import FILES
from registry.marketplace.publishing.source import PublishError, shown
from registry.marketplace.trust import METADATA, TARGETS

_SERVED: Final = (METADATA, TARGETS, FILES)


class _Files(SimpleHTTPRequestHandler):
    """Files only: no list of a folder, nothing that was not signed, and nothing on the terminal."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override]  # any binary file will do
        file = Path(self.translate_path(self.path))  # an address has many ways to name one file
        if not file.is_file() or file.relative_to(self.directory).parts[0] not in _SERVED:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        pass


def make_server(out: Path, port: int) -> ThreadingHTTPServer:
    """A server of a marketplace on 127.0.0.1; `serve_forever` runs it.

    Args:
        out: what `build` wrote and `sign` signed.
        port: where to listen; 0 for any that is free.

    Raises:
        PublishError: it was not signed, or the port is taken.
    """
    if not (out / METADATA / "timestamp.json").is_file():
        raise PublishError(
            f"{shown(out)} holds no signed marketplace", hint="Run `build`, then `sign`, then this."
        )
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Files, directory=str(out)))
    except OSError as error:
        raise PublishError(
            f"Port {port} cannot be used", detail=shown(error), hint="Choose another."
        ) from error
    server.daemon_threads = True
    return server
