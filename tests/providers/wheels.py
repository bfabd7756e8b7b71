"""Small wheels with real fingerprints, and an index that serves them, as fast or as slow as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from providers.embedded.pins import Wheel

FAKE_RUNTIME = """
class Sampling: pass
class CommonParams:
    def __init__(self):
        self.model = Sampling()
        self.cpuparams = Sampling()
        self.cpuparams_batch = Sampling()
class Server:
    def __init__(self, parameters):
        self.listening_address = f"http://127.0.0.1:9/{parameters.n_ctx}"
"""


def make_wheel(
    folder: Path,
    members: Mapping[str | zipfile.ZipInfo, bytes],
    *,
    project: str = "made-up",
    keep: tuple[str, ...] = ("pkg/*", "*.dist-info/LICENSE"),
    unpacked: int = 10_000_000,
    part: str = "runtime",
) -> tuple[Path, Wheel]:
    """A wheel on the disk and the pin that it satisfies."""
    folder.mkdir(parents=True, exist_ok=True)
    module = project.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(
            f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
        )
        archive.writestr(f"{module}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{module}-1.0.dist-info/LICENSE", "Do as you like.")
        archive.writestr(f"{module}-1.0.dist-info/RECORD", "")
    data = path.read_bytes()
    pin = Wheel(project, "1.0", hashlib.sha256(data).hexdigest(), len(data), unpacked, keep, part)
    return path, pin


@dataclass
class Index:
    """A package index on the loopback."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    pause_after: int | None = None
    """Send this many bytes of a file and then nothing more."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away from a file that was paused."""


@contextlib.asynccontextmanager
async def running_index(*wheels: Path) -> AsyncIterator[Index]:
    """An index that serves wheels by the names of their projects."""
    index = Index("", {wheel.name: wheel.read_bytes() for wheel in wheels})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await _serve(index, reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    index.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/simple"
    try:
        yield index
    finally:
        server.close()


async def _serve(index: Index, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split(" ")[1]
    name = request.rsplit("/", 1)[-1]
    body = index.files.get(name)
    kind = "application/octet-stream"
    if body is None:
        kind = "text/html"
        project = request.strip("/").rsplit("/", 1)[-1].replace("-", "_")
        names = [each for each in index.files if each.startswith(f"{project}-")]
        body = "".join(f'<a href="/files/{each}">{each}</a>' for each in names).encode()
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode())
    if kind != "text/html" and index.pause_after is not None:
        writer.write(body[: index.pause_after])
        await writer.drain()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        index.left.set()
        return
    writer.write(body)
    await writer.drain()
