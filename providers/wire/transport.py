"""One request whose answer is a stream of events, or one document; every fault as a `ProviderError`."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from jackfield import ErrorKind, JackfieldError, ProviderError
from providers.wire.errors import WireError, error_of_response, find_error, make_error, plain_text
from providers.wire.sse import MAX_EVENT_BYTES, EventReader, ServerEvent

if TYPE_CHECKING:
    import httpx

    from jackfield import PluginContext

_MAX_ERROR_BYTES: Final = 64 * 1024
_MAX_LIST_BYTES: Final = 16 * 1024 * 1024
_DRAIN_LIMIT_S: Final = 0.1


def open_client(ctx: PluginContext, *, reasoning: bool = False) -> httpx.AsyncClient:
    """A client for a hosted server, with everything imported that its first request needs.

    That takes long enough for a screen to stand still: call it in a thread.

    Args:
        ctx: the corner of the plugin whose options `ca_bundle` and `proxy` are heeded.
        reasoning: the server sends nothing while its model thinks.

    Raises:
        ProviderError: one of these options cannot be used.
    """
    return _opened(ctx, reasoning=reasoning)


def open_local_client(ctx: PluginContext) -> httpx.AsyncClient:
    """A client for servers on this machine, with everything imported that its first request needs.

    That takes long enough for a screen to stand still: call it in a thread.

    Raises:
        ProviderError: an option of the plugin cannot be used.
    """
    return _opened(ctx, local=True)


def _opened(ctx: PluginContext, *, local: bool = False, reasoning: bool = False) -> httpx.AsyncClient:
    import anyio  # httpx reaches the network through it, and imports half of it with the first connection

    try:
        client = ctx.http_client(local=local, reasoning=reasoning)
    except JackfieldError as error:
        raise ProviderError(
            ErrorKind.UNAVAILABLE, error.title, detail=error.detail, hint=error.hint
        ) from error
    anyio.run(anyio.sleep, 0)
    return client


async def post_events(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, object],
    *,
    name: str,
    headers: Mapping[str, str] | None = None,
    on_headers: Callable[[Mapping[str, str]], object] | None = None,
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
        on_headers: called with the headers of an answer that is no refusal, before its first event.

    Raises:
        ProviderError: the server could not be reached, refused, or broke off.
    """
    sent = {"content-type": "application/json", **(headers or {})}
    with _faults(name):
        async with client.stream("POST", url, content=_encode(body), headers=sent) as response:
            await _check(name, response)
            if on_headers is not None:
                on_headers(response.headers)
            pieces = response.aiter_bytes()
            reader = EventReader()
            whole: list[bytes] | None = [] if _is_document(response) else None
            size = 0
            async for piece in pieces:
                if not size and whole is None and piece.lstrip()[:1] in (b"{", b"[", b"<"):
                    whole = []  # no line of an event begins like this: the type that was named is wrong
                size += len(piece)
                if whole is None:
                    for event in reader.feed(piece):
                        yield event
                elif size <= MAX_EVENT_BYTES:
                    whole.append(piece)
                else:
                    raise _too_large(name)
            if whole is None:
                for event in reader.finish():
                    yield event
            else:
                yield ServerEvent(_document(name, response, b"".join(whole)))


async def drain(events: AsyncGenerator[ServerEvent]) -> None:
    """Read what is left of a stream whose answer is complete, so that its connection can be used again.

    Servers send no more than a line or two; one that sends nothing and stays is not waited for.
    """
    try:
        async with asyncio.timeout(_DRAIN_LIMIT_S):
            async for _ in events:
                pass
    except (TimeoutError, ProviderError):
        pass  # the answer is whole all the same; only the connection is lost


async def get_json(
    client: httpx.AsyncClient,
    url: str,
    *,
    name: str,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str | int] | None = None,
) -> object:
    """The decoded JSON at an address, such as a list of models.

    Args:
        client: who asks.
        url: where.
        name: how the user calls the provider, for titles of errors.
        headers: beside those of the client, such as the key.
        params: the query.

    Raises:
        ProviderError: the server could not be reached or refused, or sent something else.
    """
    with _faults(name):
        async with client.stream("GET", url, params=params, headers=dict(headers or {})) as response:
            await _check(name, response)
            body = await _read(response, _MAX_LIST_BYTES)
            if len(body) >= _MAX_LIST_BYTES:
                raise _too_large(name)
            text = _document(name, response, body)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise make_error(ErrorKind.PROTOCOL, name, detail=f"Not JSON: {plain_text(text)}") from error


def _encode(body: Mapping[str, object]) -> bytes:
    """JSON as UTF-8. Half a surrogate pair, which UTF-8 does not know, becomes a question mark."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


async def _check(name: str, response: httpx.Response) -> None:
    if not response.is_success:
        body = await _read(response, _MAX_ERROR_BYTES)
        raise error_of_response(name, response.status_code, response.headers, body)


def _document(name: str, response: httpx.Response, body: bytes) -> str:
    """The text of a document that is neither a web page nor the report of a fault."""
    text = body.decode("utf-8", "replace")
    if text.lstrip()[:1] == "<" or _content_type(response) == "text/html":
        raise make_error(
            ErrorKind.PROTOCOL,
            name,
            title=f"A web page came in place of {name}'s answer",
            detail=plain_text(text),
            hint="Check the address, and whether a proxy or a sign-in page of the network is in between.",
            status=response.status_code,
        )
    if len(body) <= _MAX_ERROR_BYTES:
        try:
            found = find_error(json.loads(text))
        except (ValueError, RecursionError):
            found = None
        if found is not None:
            raise error_of_response(name, response.status_code, response.headers, body)
    return text


def _content_type(response: httpx.Response) -> str:
    value: str = response.headers.get("content-type", "")
    return value.partition(";")[0].strip().lower()


def _is_document(response: httpx.Response) -> bool:
    kind = _content_type(response)
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


@contextmanager
def _faults(name: str) -> Iterator[None]:
    """Turns what the client and the reader of events raise into errors that name the provider."""
    import httpx  # heavy, and not needed before the first request

    try:
        yield
    except WireError:
        raise
    except ProviderError as error:  # the reader of events knows no names
        raise _too_large(name) from error
    except httpx.ProxyError as error:
        raise _proxy_fault(name, error) from error
    except httpx.TimeoutException as error:
        raise make_error(ErrorKind.TIMEOUT, name, detail=_timeout_reason(error)) from error
    except httpx.DecodingError as error:
        raise make_error(ErrorKind.PROTOCOL, name, detail=_say(error)) from error
    except (httpx.LocalProtocolError, UnicodeEncodeError):
        # Not from the cause: it quotes the header that cannot be sent, and that may be the key.
        raise _unsendable(name) from None
    except httpx.ConnectError as error:
        raise _connect_fault(name, error) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise make_error(
            ErrorKind.BAD_REQUEST, name, detail=_say(error), hint="Check the provider's address."
        ) from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise make_error(ErrorKind.CONNECTION, name, detail=_say(error)) from error


def _too_large(name: str) -> WireError:
    return make_error(
        ErrorKind.PROTOCOL,
        name,
        title=f"{name} sent an event that is too large",
        detail=f"One event has more than {MAX_EVENT_BYTES:,} bytes.",
        hint="Press retry, or choose another model.",
    )


def _unsendable(name: str) -> WireError:
    return make_error(
        ErrorKind.AUTH,
        name,
        title=f"The request to {name} cannot be sent",
        detail="A header holds a character that no header may have; most likely the key does.",
        hint="Copy the key again, without line breaks and spaces.",
    )


def _proxy_fault(name: str, error: Exception) -> WireError:
    return make_error(
        ErrorKind.CONNECTION,
        name,
        title=f"The proxy refused to connect to {name}",
        detail=_say(error),
        hint="Check HTTPS_PROXY, or the option `proxy` of the plugin.",
        should_retry=False,
    )


def _connect_fault(name: str, error: Exception) -> WireError:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return make_error(
            ErrorKind.CONNECTION,
            name,
            title=f"The connection to {name} cannot be trusted",
            detail=_say(error),
            hint="If your network inspects traffic, name its certificate in the plugin's option `ca_bundle`.",
            should_retry=False,
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return make_error(
            ErrorKind.CONNECTION,
            name,
            title=f"The address of {name} was not found",
            detail=_say(error),
            hint="Check that this machine is online, and the name of the server.",
        )
    return make_error(
        ErrorKind.CONNECTION,
        name,
        title=f"{name} cannot be reached",
        detail=_say(error),
        hint="Check that this machine is online, and the proxy if there is one; then press retry.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it; groups are those of several addresses that were tried."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions


def _timeout_reason(error: Exception) -> str:
    import httpx

    match error:
        case httpx.ConnectTimeout():
            return "No connection was made in time."
        case httpx.ReadTimeout():
            return "It took the request, then said nothing for too long."
        case httpx.PoolTimeout():
            return "All connections were busy."
        case _:
            return _say(error)


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
