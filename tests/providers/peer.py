"""A real HTTP server on the loopback that says exactly the bytes that a test wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Reply:
    """What the server sends for one request: a response, in pieces, and how it ends."""

    body: Sequence[bytes] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    breaks_off: bool = False
    """Close the connection without the end that chunked bodies have."""
    stays_open: bool = False
    """Send nothing more and wait until the client goes away."""
    last_after: asyncio.Event | None = None
    """Send the last piece only when this is set."""


@dataclass
class Peer:
    """The running server: what it was asked, and what it answers next."""

    url: str
    replies: list[Reply] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed its connection to a reply that stays open."""

    def sent(self) -> dict[str, object]:
        """The JSON of the last request."""
        body = json.loads(self.requests[-1][2])
        assert isinstance(body, dict)
        return body


@contextlib.asynccontextmanager
async def running_peer(*replies: Reply) -> AsyncIterator[Peer]:
    """A server that gives the replies in their order, the last one again and again."""
    peer = Peer("", list(replies))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(peer, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()


async def _answer(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    peer.requests.append((head[0], headers, body))
    reply = peer.replies.pop(0) if len(peer.replies) > 1 else peer.replies[0]
    extra = "".join(f"{key}: {value}\r\n" for key, value in reply.headers.items())
    writer.write(
        f"HTTP/1.1 {reply.status} Said\r\ncontent-type: {reply.content_type}\r\n{extra}"
        "transfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode("latin-1")
    )
    for number, piece in enumerate(reply.body, 1):
        if reply.last_after is not None and number == len(reply.body):
            await reply.last_after.wait()
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
    if reply.stays_open:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        peer.left.set()
    elif not reply.breaks_off:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


def chunk(delta: dict[str, object] | None = None, **fields: object) -> bytes:
    """One event of a Chat Completions stream."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": fields.pop("finish_reason", None)}
    choices = fields.pop("choices", [choice])
    body = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": choices, **fields}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
