"""A provider's answer, read by a task of its own, so that it can be left at any moment."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from registry.chat import Finished, Progress, StreamEvent
from registry.contract import explain
from registry.provider import ErrorKind, ProviderError
from registry.soundness import check_event

if TYPE_CHECKING:
    from registry.auth import Credential

CLOSE_LIMIT_S = 2.0
"""How long a provider may take to stop its stream, in seconds."""
_AHEAD = 16
"""How many events a provider may be ahead of who reads them."""

_left_behind: set[asyncio.Task[None]] = set()


async def read_answer(
    begin: Callable[[Credential | None], object],
    name: str,
    credential: Credential | None,
    renew: Callable[[Credential], Awaitable[Credential | None]] | None,
) -> AsyncGenerator[StreamEvent, None]:
    """The events of an answer, which is asked for once more when the server refuses the credential.

    That is done once, with a renewed credential, and only before the answer has begun.

    Args:
        begin: gives what `Provider.stream` gives for a credential.
        name: how people call the provider.
        credential: what to sign in with.
        renew: gives another credential for one that was refused, or None; None renews nothing.

    Raises:
        ProviderError: as `read_stream` does.
        JackfieldError: the credential could not be renewed.
    """
    begun = False
    try:
        async with aclosing(read_stream(begin(credential), name)) as events:
            async for event in events:
                begun = begun or not isinstance(event, Progress)
                yield event
        return
    except ProviderError as error:
        if begun or credential is None or renew is None or not refuses_credential(error):
            raise
        renewed = await renew(credential)
        if renewed is None:
            raise
    async with aclosing(read_stream(begin(renewed), name)) as events:
        async for event in events:
            yield event


async def read_stream(stream: Any, name: str) -> AsyncGenerator[StreamEvent, None]:
    """The events of what `Provider.stream` gave, up to the first `Finished`.

    Whoever reads is never held up: a provider that ignores its cancellation, or does not stop its stream
    within `CLOSE_LIMIT_S` seconds, is left behind.

    Args:
        stream: an asynchronous iterator, if the provider keeps its promise.
        name: how people call the provider.

    Raises:
        ProviderError: as the provider raised it, or of kind PROTOCOL for anything else that it did.
    """
    events: asyncio.Queue[StreamEvent | ProviderError | None] = asyncio.Queue(_AHEAD)
    pump = asyncio.create_task(_pump(stream, name, events), name=f"stream of {name}")
    _left_behind.add(pump)  # the event loop alone would let it be collected
    pump.add_done_callback(_left_behind.discard)
    ended = False
    try:
        while not ended:
            event = await events.get()
            ended = event is None or isinstance(event, ProviderError | Finished)
            if isinstance(event, ProviderError):
                raise event
            if event is not None:
                yield event
    finally:
        if not ended:
            pump.cancel()
        await asyncio.wait({pump}, timeout=CLOSE_LIMIT_S)
        pump.cancel()


async def _pump(stream: Any, name: str, events: asyncio.Queue[StreamEvent | ProviderError | None]) -> None:
    error: ProviderError | None = None
    try:
        async for event in _iterable(stream):
            await events.put(check_event(event))
            if isinstance(event, Finished):
                break
    except ProviderError as raised:
        error = raised
    except BaseException as raised:  # noqa: BLE001 - the border to a plugin's code: the turn ends with an error
        if not (isinstance(raised, asyncio.CancelledError) and _is_cancelled()):
            error = protocol_error(name, explain(raised))
    try:
        if not _is_cancelled():
            await events.put(error)
    finally:
        await _close(stream)


def _iterable(stream: Any) -> AsyncIterable[Any]:
    if isinstance(stream, AsyncIterable):
        return stream
    if inspect.iscoroutine(stream):
        stream.close()  # it is never awaited, and Python would complain about that on the screen
    raise TypeError(f"stream() gave a {type(stream).__name__} where an asynchronous iterator belongs")


async def _close(stream: Any) -> None:
    """Stop it at the source. How that goes changes nothing: it was read to where it matters."""
    try:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
    except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: nobody waits for more
        _logger.info("a stream did not close well: %s", explain(error))


_logger = logging.getLogger("jackfield.turn")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def refuses_credential(error: ProviderError) -> bool:
    """Whether a server does not take the credential (any more); another one may be taken."""
    return error.kind is ErrorKind.AUTH and error.status == 401


def protocol_error(provider: str, detail: str) -> ProviderError:
    """The error for a provider that does what the contract does not allow."""
    return ProviderError(
        ErrorKind.PROTOCOL,
        f"{provider} failed in a way it should not",
        detail=detail,
        hint="What came is kept. Retry, or choose another model.",
    )
