"""The conversation with one plugin's process: handshake, calls, streams, cancellation, its end.

Calls come from the app's event loop and from that of the hooks alike; answers are handed back to the loop
that asked.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from registry.chat import StreamEvent
from registry.errors import JackfieldError
from registry.launch import Launch
from registry.runtimes.answer import Answer
from registry.runtimes.framing import (
    CANCELLED,
    MAX_EVENTS_MESSAGE,
    PARTS_OF_EVENT,
    PROTOCOL,
    MessageError,
    decode,
    encode,
    has_more_parts,
)
from registry.runtimes.peer_errors import PeerError, RemoteFault
from registry.runtimes.pipes import Pipes
from registry.runtimes.remote_stream import WINDOW, WINDOW_BYTES, RemoteStream


class _Waiting(Protocol):
    def succeed(self, result: Any) -> None: ...

    def fail(self, error: Exception) -> None: ...


@dataclass(frozen=True, slots=True)
class Opening:
    """What a process is told before it is used.

    Args:
        check: looks at its description; raises JackfieldError when it may not be used.
        start: the parameters of `start`; None when it is only to describe itself.
        may_start: called before there is a process; raises JackfieldError when there must be none.
    """

    check: Callable[[Mapping[str, Any]], None]
    start: Mapping[str, Any] | None = None
    may_start: Callable[[], None] = lambda: None


class Peer:
    """One process of a plugin, from its start to its end; it is not used again after that."""

    def __init__(self, launch: Launch, opening: Opening, *, app_version: str) -> None:
        self._limits = launch.limits
        self._opening = opening
        self._app_version = app_version
        self._lock = threading.Lock()
        self._pending: dict[int, _Waiting] = {}
        self._cancelled: dict[int, float] = {}
        """When each call that was cancelled has to have been stopped."""
        self._next_id = 0
        self._stopping_until: float | None = None
        self._last_use = time.monotonic()
        self._starting_until: float | None = None
        self.is_ready = False
        """Whether it was ready to be called; looked at before each call, where `ready` would take longer."""
        self.ready: Future[None] = Future()
        """Done when it can be called; failed with PeerError, RemoteFault or what `check` raised."""
        self.gone: Future[PeerError] = Future()
        """Done when it has ended, with the reason."""
        for future in (self.ready, self.gone):
            future.set_running_or_notify_cancel()  # whoever waits may be cancelled, the future not
        self._pipes = Pipes(launch, launch.environment_of(os.environ), self)

    def start(self) -> None:
        """Start the process. `ready` tells when it can be called."""
        self._pipes.start()

    @property
    def usable(self) -> bool:
        """Whether calls may be made, now or once it is ready."""
        return self._stopping_until is None and not self._pipes.ending and not self.gone.done()

    def hold(self) -> bool:
        """Have it be there for a call that is made now; whether it is."""
        with self._lock:
            self._last_use = time.monotonic()
            return self.is_ready and self.usable

    @property
    def crashed(self) -> bool:
        """Whether it ended without having been stopped."""
        return self.gone.done() and self._stopping_until is None

    def last_lines(self) -> str:
        """What the process wrote to its standard error last."""
        return self._pipes.said.text()

    async def call(
        self, method: str, params: Mapping[str, Any], limit_s: float, *, patience_s: float = 0.0
    ) -> Any:
        """The plugin's answer.

        Args:
            method: what is called.
            params: with what.
            limit_s: how long to wait, in seconds.
            patience_s: hold up this very thread for so long, in seconds, because most answers come sooner
                than an event loop is woken.

        Raises:
            PeerError: the process ended, broke the protocol, or did not answer in time.
            RemoteFault: the plugin answered with an error.
        """
        answer = Answer()
        number = self._ask(method, params, answer)
        try:
            if patience_s and self._wait_here(answer, patience_s):
                return answer.result()
            limit = asyncio.timeout(limit_s)
            try:
                async with limit:
                    return await answer.future(asyncio.get_running_loop())
            except TimeoutError:
                if limit.expired():
                    late = f"It took more than {limit_s:g} s."
                    raise PeerError(late, last_lines=self.last_lines()) from None
                raise
        finally:
            self._cancel(number)

    def _wait_here(self, answer: Answer, patience_s: float) -> bool:
        if self._pipes.read_here(lambda: answer.is_here, patience_s):
            return answer.is_here
        return answer.wait(patience_s)

    async def stream(self, method: str, params: Mapping[str, Any]) -> AsyncGenerator[list[StreamEvent], None]:
        """The events of a stream, as they came together. Closing it cancels the stream at once.

        Raises:
            PeerError, RemoteFault: as for `call`.
            AnswerTooLong: there is no end of events.
        """
        stream = RemoteStream(asyncio.get_running_loop())
        window = {"window": WINDOW, "window_bytes": WINDOW_BYTES}
        number = self._ask(method, {**params, **window}, stream)
        try:
            while events := await self._next_events(stream):
                yield events
                if more := stream.more():
                    self._notify("$/more", {"id": number, **more})
        finally:
            self._cancel(number)

    async def _next_events(self, stream: RemoteStream) -> list[StreamEvent]:
        limit = asyncio.timeout(self._limits.silence_s)
        try:
            async with limit:
                return await stream.next_events()
        except ValueError as error:
            self._pipes.kill(f"It broke the protocol: {error}")
            raise PeerError(f"It broke the protocol: {error}", ended=True) from error
        except TimeoutError:
            if limit.expired():
                silent = f"It sent nothing for {self._limits.silence_s:g} s."
                raise PeerError(silent, last_lines=self.last_lines()) from None
            raise

    def stop(self) -> None:
        """Have it close and exit; killed when that takes too long. `gone` tells when it has ended."""
        with self._lock:
            if self._stopping_until is not None:
                return
            self._refuse_calls()
        self._tell_to_stop()

    def _refuse_calls(self) -> None:
        self._stopping_until = time.monotonic() + self._limits.stop_s

    def _tell_to_stop(self) -> None:
        self._notify("stop", {})
        self._pipes.close_input()

    def _ask(self, method: str, params: Mapping[str, Any], waiting: _Waiting) -> int:
        with self._lock:
            if not self.usable:
                raise PeerError("It has been stopped.", ended=True)
            number = self._next_id
            self._next_id += 1
            self._pending[number] = waiting
        try:
            self._send({"id": number, "method": method, "params": params})
        except MessageError as error:
            self._forget(number)
            raise PeerError(str(error)) from None
        return number

    def _notify(self, method: str, params: Mapping[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._pipes.send(encode({"jsonrpc": "2.0", **message}))

    def _forget(self, number: int) -> tuple[_Waiting | None, bool]:
        """A call is over: who waits for it, and whether it was cancelled before."""
        with self._lock:
            self._last_use = time.monotonic()
            was_cancelled = self._cancelled.pop(number, None) is not None
            return self._pending.pop(number, None), was_cancelled

    def _asked(self, number: int) -> tuple[_Waiting | None, bool]:
        """Who waits for a call that goes on, and whether it was cancelled."""
        with self._lock:
            return self._pending.get(number), number in self._cancelled

    def _cancel(self, number: int) -> None:
        """Nobody waits for this call any more; if it still runs it has to stop."""
        with self._lock:
            if self._pending.pop(number, None) is None:
                return
            self._cancelled[number] = time.monotonic() + self._limits.cancel_s
        self._notify("$/cancel", {"id": number})
        self._pipes.wake()

    # What follows is called on the thread of the pipes.

    def may_start(self) -> bool:
        """Have whoever opened it look once more; what is wrong is what `ready` fails with."""
        try:
            self._opening.may_start()
        except Exception as error:  # noqa: BLE001 - on this thread nobody else would hear of it
            self._refuse(error)
            return False
        return True

    def started(self) -> None:
        """Shake hands."""
        self._starting_until = time.monotonic() + self._limits.start_s
        params = {"protocol": PROTOCOL, "app": self._app_version}
        with suppress(PeerError):  # it was stopped before it was there
            self._ask("initialize", params, _Step(self._described, self._refuse))

    def _described(self, result: Any) -> None:
        if not isinstance(result, dict) or type(result.get("protocol")) is not int:
            raise MessageError("its answer to initialize names no version of the protocol")
        if result["protocol"] != PROTOCOL:
            theirs = f"It speaks version {result['protocol']} of the protocol"
            self._refuse(PeerError(f"{theirs}; this app speaks {PROTOCOL}."))
            return
        try:
            self._opening.check(result.get("plugin", {}))
        except JackfieldError as error:
            self._refuse(error)
            return
        if self._opening.start is None:
            self._become_ready(None)
            return
        self._starting_until = time.monotonic() + self._limits.start_s
        with suppress(PeerError):  # ditto
            self._ask("start", self._opening.start, _Step(self._become_ready, self._refuse))

    def _become_ready(self, _result: Any) -> None:
        self._starting_until = None
        self._last_use = time.monotonic()
        self.is_ready = True
        self.ready.set_result(None)

    def _refuse(self, error: Exception) -> None:
        """It may not be used, or could not be started: it is stopped, and what was raised is told.

        In that order: who hears of it and tries again at once has to get another process.
        """
        self._starting_until = None
        self.stop()
        if not self.ready.done():
            self.ready.set_exception(error)

    def line(self, line: bytes | bytearray) -> None:
        """Take a message.

        Raises:
            MessageError: it is none that may come now.
        """
        message = decode(line)
        if message.get("jsonrpc") != "2.0":
            raise MessageError(f"a message without its jsonrpc version: {bytes(line[:60])!r}")
        if "method" in message:
            self._take_events(message, line)
            return
        number = message.get("id")
        if type(number) is not int or ("result" in message) == ("error" in message):
            raise MessageError(f"neither an answer nor events: {bytes(line[:60])!r}")
        fault = self._fault(message["error"]) if "error" in message else None
        waiting, was_cancelled = self._forget(number)
        if waiting is None:
            if not was_cancelled:
                raise MessageError(f"an answer to the call {number}, which was not made")
        elif fault is not None:
            waiting.fail(fault)
        else:
            waiting.succeed(message["result"])

    def _fault(self, error: Any) -> Exception:
        data = _error_data(error)
        if self._stopping_until is not None and error.get("code") == CANCELLED:
            return PeerError("It was switched off or changed meanwhile.", ended=True, intended=True)
        return RemoteFault(data)

    def _take_events(self, message: Mapping[str, Any], line: bytes | bytearray) -> None:
        params = message.get("params")
        if message["method"] != "provider/events" or "id" in message or not isinstance(params, dict):
            raise MessageError(f"the method {message['method']!r:.60}, which the app does not have")
        number, events = params.get("id"), params.get("events")
        if type(number) is not int or not isinstance(events, list):
            raise MessageError("events without the id of their stream, or that are no list")
        if len(line) > MAX_EVENTS_MESSAGE:
            raise MessageError(f"a message with events of more than {MAX_EVENTS_MESSAGE:,} bytes")
        if has_more_parts(line, PARTS_OF_EVENT * (len(events) + 1)):
            raise MessageError(f"events with more than {PARTS_OF_EVENT} values each")
        waiting, was_cancelled = self._asked(number)
        if isinstance(waiting, RemoteStream):
            waiting.take(events, len(line) + 1)
        elif not was_cancelled:
            raise MessageError(f"events of the stream {number}, which was not begun")

    def next_tick_s(self) -> float:
        """When something is due, in seconds from now."""
        due = [moment for moment in (self._stopping_until, self._starting_until) if moment is not None]
        if self._cancelled:
            with self._lock:
                due += self._cancelled.values()
        now = time.monotonic()
        if not due:
            # while it is called too: whoever takes the answer on a thread of its own does not wake this one
            due.append((now if self._pending else self._last_use) + self._limits.idle_s)
        return max(0.0, min(due) - now)

    def tick(self) -> None:
        """Do what is due: end a process that hangs, stop one that nobody uses."""
        now = time.monotonic()
        with self._lock:
            hangs = any(now >= until for until in self._cancelled.values())
            idle = self._is_idle(now)
            if idle:
                self._refuse_calls()
        if idle:
            self._tell_to_stop()
        elif self._stopping_until is not None:
            if now >= self._stopping_until:
                self._pipes.kill(f"It did not stop within {self._limits.stop_s:g} s and was ended.")
        elif self._starting_until is not None and now >= self._starting_until:
            self._pipes.kill(f"It was not ready within {self._limits.start_s:g} s and was ended.")
        elif hangs:
            late = f"It went on for {self._limits.cancel_s:g} s after it was told to stop, and was ended."
            self._pipes.kill(late)

    def _is_idle(self, now: float) -> bool:
        busy = self._pending or self._cancelled or not self.ready.done() or self._stopping_until is not None
        return not busy and now >= self._last_use + self._limits.idle_s

    def ended(self, reason: str) -> None:
        """Fail everything that still waits."""
        intended = self._stopping_until is not None and self.ready.done()
        error = PeerError(reason, last_lines=self.last_lines(), ended=True, intended=intended)
        with self._lock:
            pending, self._pending = self._pending, {}
            self._cancelled.clear()
            self.gone.set_result(error)
        if not self.ready.done():
            self.ready.set_exception(error)
        for waiting in pending.values():
            waiting.fail(error)


class _Step:
    """A step of the handshake, taken on the thread of the pipes."""

    def __init__(self, then: Callable[[Any], None], otherwise: Callable[[Exception], None]) -> None:
        self.succeed = then
        self.fail = otherwise


def _error_data(error: Any) -> dict[str, Any]:
    if not isinstance(error, dict):
        raise MessageError("an error that is no object")
    data = error.get("data")
    return data if isinstance(data, dict) else {"title": str(error.get("message", ""))}
