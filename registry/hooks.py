"""Runs hooks on a thread of their own, each on a copy and within a time limit.

The thread has its own event loop. A hook that awaits too long is cancelled there; one that blocks its thread
is left behind with it, and a new thread goes on with the next hook. The app's own loop is never held up.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from registry.text import safe_text

_T = TypeVar("_T")

_GRACE_S = 0.25
"""How much longer than its limit a hook may take to answer its cancellation, in seconds."""


@dataclass(frozen=True, slots=True)
class HookCall:
    """One hook to run."""

    plugin: str
    hook: str
    function: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class HookOutcome(Generic[_T]):
    """What one hook did: the value after it, or why it failed."""

    call: HookCall
    before: _T
    after: _T
    failure: str = ""


@dataclass(frozen=True, slots=True)
class ValueRules(Generic[_T]):
    """How hooks handle one kind of value.

    Args:
        copy: a copy that a hook may change.
        accept: the value after the hook, from the copy and what the hook returned; raises TypeError when it
            is not one.
        stops: whether the remaining hooks are skipped after this value.
    """

    copy: Callable[[_T], _T]
    accept: Callable[[_T, Any], _T]
    stops: Callable[[_T], bool] = lambda _: False


class HookRunner:
    """Runs chains of hooks. One for an app; `close` it at the end."""

    def __init__(self) -> None:
        self._thread: _HookThread | None = None

    async def run(
        self, calls: Sequence[HookCall], value: _T, rules: ValueRules[_T], *, limit_s: float
    ) -> list[HookOutcome[_T]]:
        """Run hooks one after the other, each on what the last good one left.

        A hook that fails, or outlives `limit_s` seconds, leaves the value as it was before it.
        """
        outcomes: list[HookOutcome[_T]] = []
        while len(outcomes) < len(calls):
            thread = self._usable_thread()
            chain = _Chain(calls, value, rules, limit_s, outcomes)
            future = thread.submit(chain)
            if await _wait_unless_blocked(future, chain):
                break
            self._thread = None  # it is stuck in a hook; nothing more is sent to it
            thread.abandon()
            call = calls[len(outcomes)]
            last = outcomes[-1].after if outcomes else value
            outcomes.append(HookOutcome(call, last, last, f"It blocked for more than {limit_s:g} s."))
        return outcomes

    def _usable_thread(self) -> _HookThread:
        if self._thread is None:
            self._thread = _HookThread()
        return self._thread

    def close(self) -> None:
        """End the thread, as soon as no hook runs in it."""
        if self._thread is not None:
            self._thread.abandon()
            self._thread = None


class _Chain(Generic[_T]):
    """One run over hooks, from the first that has no outcome yet. `outcomes` grows as hooks finish."""

    def __init__(
        self,
        calls: Sequence[HookCall],
        value: _T,
        rules: ValueRules[_T],
        limit_s: float,
        outcomes: list[HookOutcome[_T]],
    ) -> None:
        self._calls = calls
        self._value = outcomes[-1].after if outcomes else value
        self._rules = rules
        self.limit_s = limit_s
        self._outcomes = outcomes
        self.since = time.monotonic()
        """When the hook that runs now was started."""
        self.abandoned = False

    async def run(self) -> None:
        for call in self._calls[len(self._outcomes) :]:
            self.since = time.monotonic()
            outcome = await self._run_one(call)
            if self.abandoned:
                return
            self._outcomes.append(outcome)
            self._value = outcome.after
            if self._rules.stops(self._value):
                for skipped in self._calls[len(self._outcomes) :]:
                    self._outcomes.append(HookOutcome(skipped, self._value, self._value))
                return

    async def _run_one(self, call: HookCall) -> HookOutcome[_T]:
        value = self._value
        copy = self._rules.copy(value)
        try:
            returned = call.function(copy)
            if inspect.isawaitable(returned):
                async with asyncio.timeout(self.limit_s):
                    returned = await returned
            after = self._rules.accept(copy, returned)
        except TimeoutError:
            return HookOutcome(call, value, value, f"It took more than {self.limit_s:g} s.")
        except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: the turn goes on without it
            reason = safe_text(f"{type(error).__name__}: {error}", limit=500)
            return HookOutcome(call, value, value, reason)
        return HookOutcome(call, value, after)


async def _wait_unless_blocked(future: Future[None], chain: _Chain[Any]) -> bool:
    """Whether the chain ended; False when the hook that runs now has blocked its thread."""
    waiter = asyncio.wrap_future(future)
    while True:
        left = chain.since + chain.limit_s + _GRACE_S - time.monotonic()
        try:
            done, _ = await asyncio.wait({waiter}, timeout=max(left, 0.01))
        except asyncio.CancelledError:
            chain.abandoned = True
            future.cancel()
            raise
        if done:
            waiter.result()
            return True
        if time.monotonic() > chain.since + chain.limit_s + _GRACE_S:
            chain.abandoned = True
            future.cancel()
            return False


class _HookThread:
    """A daemon thread with an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

    def submit(self, chain: _Chain[Any]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(chain.run(), self._loop)

    def abandon(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
