"""One POST whose answer is a stream of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from jackfield import ErrorKind
from providers.wire.errors import error_of_response, make_error
from providers.wire.sse import MAX_EVENT_BYTES, ServerEvent, read_events

if TYPE_CHECKING:
    import httpx

    from jackfield import PluginContext

_MAX_ERROR_BYTES: Final = 64 * 1024


def open_local_client(ctx: PluginContext) -> httpx.AsyncClient:
    """A client for servers on this machine, with everything imported that its first request needs.

    That takes long enough for a screen to stand still: call it in a thread.
    """
    import anyio  # httpx reaches the network through it, and imports half of it with the first connection

    client = ctx.http_client(local=True)
    anyio.run(anyio.sleep, 0)
    return client


async def post_events(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    name: str,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[ServerEvent]:
    """Post JSON and give the events of the answer.

    A server that was asked for a stream and sends one document instead gives one event with the document.
    Closing the iterator closes the connection, which is how every server is told to stop.

    Args:
        client: who sends it.
        url: where to.
        body: the request, as JSON.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client, such as the key.

    Raises:
        ProviderError: the server could not be reached, refused, or broke off.
    """
    import httpx  # heavy, and not needed before the first request

    try:
        async with client.stream("POST", url, json=dict(body), headers=dict(headers or {})) as response:
            if not response.is_success:
                raise error_of_response(
                    name, response.status_code, response.headers, await _read(response, _MAX_ERROR_BYTES)
                )
            if _is_document(response.headers.get("content-type", "")):
                document = await _read(response, MAX_EVENT_BYTES)
                yield ServerEvent(document.decode("utf-8", "replace"))
                return
            async with aclosing(read_events(response.aiter_bytes())) as events:
                async for event in events:
                    yield event
    except httpx.TimeoutException as error:
        raise make_error(ErrorKind.TIMEOUT, name, detail=_say(error)) from error
    except httpx.DecodingError as error:
        raise make_error(ErrorKind.PROTOCOL, name, detail=_say(error)) from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise make_error(ErrorKind.CONNECTION, name, detail=_say(error)) from error
    except (httpx.InvalidURL, ValueError) as error:
        raise make_error(ErrorKind.BAD_REQUEST, name, detail=_say(error)) from error


def _is_document(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "text/html" or kind == "application/json" or kind.endswith("+json")


async def _read(response: httpx.Response, limit: int) -> bytes:
    """The body, but no more than about `limit` bytes of it."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size >= limit:
            break
    return b"".join(pieces)


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
