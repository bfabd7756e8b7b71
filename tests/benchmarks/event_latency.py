"""How long a piece of an answer is on its way: from the server's socket to the event of a turn.

The server is another process of this machine. The text of each event that it sends is the time, by a clock
that both have in common, at which it was handed to the socket; whoever reads the turn subtracts.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.benchmarks.children import ROOT
from tests.benchmarks.table import Row
from tests.providers.dialects import CREDENTIAL, DIALECTS, Dialect

PAUSE_S = 0.005
"""Between two events: a fast model gives two hundred tokens a second."""
TIME = re.compile(r"\d{9,}")


def serve_here(dialect: Dialect, count: int) -> None:
    """Answer one request with this many events; prints the address first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _read_request(connection)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            connection.sendall(dialect.begin)
            for _ in range(count):
                time.sleep(PAUSE_S)
                connection.sendall(dialect.text(f" {time.monotonic_ns()} "))
            connection.sendall(dialect.end)


def _read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert found, "a request without a length"
    missing = int(found[1]) - len(body)
    while missing > 0:
        missing -= len(connection.recv(65_536))


@contextmanager
def served(dialect: Dialect, count: int) -> Iterator[str]:
    """The address of a process that answers one request."""
    command = [sys.executable, "-m", "tests.benchmarks.event_latency", dialect.name, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


async def delays_of(dialect: Dialect, url: str) -> list[float]:
    """Milliseconds on the way, for each piece of the answer."""
    from jackfield import ChatRequest, Message, TextDelta
    from registry.paths import Paths
    from registry.registry import PluginRegistry
    from registry.turn import Turn

    delays: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder) / "config", Path(folder) / "data", Path(folder) / "cache")
        registry = PluginRegistry(paths)
        registry.register(dialect.plugin())
        request = ChatRequest(dialect.model, [Message.of("user", "Hi")], dialect.provider)
        with patch.dict(os.environ, dialect.environment(url)):
            async for event in Turn(registry, request, CREDENTIAL).events():
                now = time.monotonic_ns()
                if isinstance(event, TextDelta) and (sent := TIME.search(event.text)):
                    delays.append((now - int(sent[0])) / 1e6)
        await registry.aclose()
    return delays


def rows(quick: bool) -> Iterator[Row]:
    """The median of the slowest dialect; its first events are those in which Python still warms up."""
    count = 40 if quick else 600
    medians: dict[str, float] = {}
    for dialect in DIALECTS:
        with served(dialect, count) as url:
            delays = asyncio.run(delays_of(dialect, url))
        assert len(delays) > count / 2, (
            f"{len(delays)} of {count} events of {dialect.name} came as they were sent"
        )
        medians[dialect.name] = statistics.median(delays)
    detail = ", ".join(f"{name} {median:.2f}" for name, median in medians.items())
    yield Row(
        "time from socket byte to event on the turn, median",
        max(medians.values()),
        1.0,
        unit="ms",
        detail=detail,
    )


if __name__ == "__main__":
    name, number = sys.argv[1:]
    serve_here(next(dialect for dialect in DIALECTS if dialect.name == name), int(number))
