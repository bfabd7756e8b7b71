"""`jackfield ask` with a server of each dialect, its key in the environment, as a user runs it."""

from __future__ import annotations

import asyncio
import os

from tests.e2e.homes import LIMIT_S, Home
from tests.providers.dialects import ALL_DIALECTS, KEY, Dialect
from tests.providers.peer import Reply, running_peer
from tests.tui.cli_harness import COMMAND


async def start(home: Home, dialect: Dialect, url: str, *arguments: str) -> asyncio.subprocess.Process:
    """The command in a home in which the dialect's provider is on."""
    home.configure(dialect.provider)
    return await asyncio.create_subprocess_exec(
        *(*COMMAND, "ask", "--model", f"{dialect.provider}/{dialect.model}", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **home.environment, **dialect.environment(url)},
    )


@ALL_DIALECTS
async def test_the_answer_is_printed_while_the_server_still_writes(home: Home, dialect: Dialect) -> None:
    seen = asyncio.Event()
    pieces = [dialect.begin, dialect.text("First "), dialect.text("and last.") + dialect.end]
    async with running_peer(Reply(pieces, last_after=seen)) as peer:
        process = await start(home, dialect, peer.url, "Hello there?")
        assert process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            first = await process.stdout.readexactly(len(b"First"))
            assert not seen.is_set()
            seen.set()
            rest, error = await process.communicate()
    assert (first + rest, error, process.returncode) == (b"First and last.\n", b"", 0)
    _, headers, body = peer.requests[-1]
    assert KEY in " ".join(headers.values())
    assert b"Hello there?" in body


@ALL_DIALECTS
async def test_what_came_before_a_fault_is_printed_and_the_cause_is_told(
    home: Home, dialect: Dialect
) -> None:
    async with running_peer(Reply([dialect.begin, dialect.text("Half an answer")])) as peer:
        process = await start(home, dialect, peer.url, "Hello there?")
        out, error = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 1
    assert out.startswith(b"Half an answer")
    assert b"cut short" in error
    assert b"Traceback" not in error
    assert KEY.encode() not in out + error
