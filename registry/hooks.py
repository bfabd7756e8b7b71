"""Runs hooks on a thread of their own, each on a copy and within a time limit.

The thread has its own event loop. A hook that awaits too long is cancelled there; one that blocks its thread
is left behind with it, and a new thread goes on with the next hook. The app's own loop is never held up.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from registry.contract import explain

_T = TypeVar("_T")

_GRACE_S = 0.25
"""How much longer than its limit a hook may take to answer its cancellation, in seconds."""


@dataclass(frozen=True, slots=True)
class HookCall:
    """One hook to run."""

    plugin: str
    hook: str
    function: Callable[[Any], Any]
    guard: bool = False
    """Whether nothing may come after it when it fails, not even another hook."""


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
        accept: the value after the hook, from the value before it, the copy and what the hook returned. It is
            none that the hook can still reach. Raises TypeError when the hook left something else.
        stops: whether the remaining hooks are skipped after this value.
    """

    copy: Callable[[_T], _T]
    accept: Callable[[_T, _T, Any], _T]
    stops: Callable[[_T], bool] = lambda _: False


class HookRunner:
    """Runs chains of hooks. One for an app; `close` it at the end."""

    def __init__(self) -> None:
        self._thread: _HookThread | None = None

    async def run(
        self, calls: Sequence[HookCall], value: _T, rules: ValueRules[_T], *, limit_s: float
    ) -> list[HookOutcome[_T]]:
        """Run hooks one after the other, each on what the last good one left.

        A hook that fails, or outlives `limit_s` seconds, leaves the value as it was before it. After a guard
        that fails no other hook is run: the outcomes end with its own.
        """
        outcomes: list[HookOutcome[_T]] = []
        while _go_on(outcomes, calls):
            thread = self._usable_thread()
            last = outcomes[-1].after if outcomes else value
            chain = _Chain(calls[len(outcomes) :], last, rules, limit_s, thread)
            future = thread.submit(chain)
            if future is None:
                continue  # it ended since it was asked for
            try:
                blocked = await _wait(future, chain, thread)
            except asyncio.CancelledError:
                chain.give_up()
                future.cancel()
                raise
            outcomes += chain.done
            if blocked and chain.begun and len(outcomes) < len(calls):
                call = calls[len(outcomes)]
                last = outcomes[-1].after if outcomes else value
                outcomes.append(HookOutcome(call, last, last, thread.what_blocked(limit_s)))
            if blocked:
                self._replace(thread)
        return outcomes

    def forget(self, plugin: str) -> None:
        """End the tasks that a plugin's hooks left behind."""
        if self._thread is not None:
            self._thread.cancel_tasks(plugin)

    def close(self) -> None:
        """End the thread, as soon as no hook runs in it."""
        if self._thread is not None:
            self._replace(self._thread)

    def _usable_thread(self) -> _HookThread:
        if self._thread is None or not self._thread.usable:
            self._thread = _HookThread()
        return self._thread

    def _replace(self, thread: _HookThread) -> None:
        """Send nothing more to a thread that is stuck in a hook; it ends once the hook does."""
        thread.abandon()
        if self._thread is thread:
            self._thread = None


def _go_on(outcomes: Sequence[HookOutcome[_T]], calls: Sequence[HookCall]) -> bool:
    if outcomes and outcomes[-1].failure and outcomes[-1].call.guard:
        return False
    return len(outcomes) < len(calls)


class _Chain(Generic[_T]):
    """One run over hooks. `done` grows as they finish, until the one who waits gives up."""

    def __init__(
        self,
        calls: Sequence[HookCall],
        value: _T,
        rules: ValueRules[_T],
        limit_s: float,
        thread: _HookThread,
    ) -> None:
        self._thread = thread
        self._calls = calls
        self._value = value
        self._rules = rules
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._given_up = False
        self._since = time.monotonic()
        self.begun = False
        """Whether the first hook was started: if not, the thread is stuck in a hook of another chain."""
        self.done: list[HookOutcome[_T]] = []

    async def run(self) -> None:
        """Run all hooks; on the hook thread."""
        for call in self._calls:
            if not self._begin():
                return
            outcome = await self._run_one(call)
            if not self._keep(outcome):
                return
            if outcome.failure and call.guard:
                return
            if self._rules.stops(self._value):
                rest = self._calls[len(self.done) :]
                self.done += [HookOutcome(skipped, self._value, self._value) for skipped in rest]
                return

    def _begin(self) -> bool:
        with self._lock:
            self._since = time.monotonic()
            self.begun = True
            return not self._given_up

    def _keep(self, outcome: HookOutcome[_T]) -> bool:
        with self._lock:
            cancelled_with_its_thread = outcome.failure and not self._thread.usable
            if self._given_up or cancelled_with_its_thread:
                return False
            self.done.append(outcome)
            self._value = outcome.after
            return True

    def give_up(self) -> None:
        """Keep nothing more."""
        with self._lock:
            self._given_up = True

    def give_up_if_late(self) -> bool:
        """Keep nothing more if the hook that runs now is over its limit, and say so."""
        with self._lock:
            self._given_up = self._given_up or self._left() <= 0
            return self._given_up

    def left_s(self) -> float:
        """How long the hook that runs now still has, in seconds."""
        with self._lock:
            return self._left()

    def _left(self) -> float:
        return self._since + self._limit_s + _GRACE_S - time.monotonic()

    async def _run_one(self, call: HookCall) -> HookOutcome[_T]:
        value = self._value
        limit = asyncio.timeout(self._limit_s)
        _plugin.set(call.plugin)
        try:
            copy = self._rules.copy(value)
            returned = call.function(copy)
            if inspect.isawaitable(returned):
                async with limit:
                    returned = await returned
            return HookOutcome(call, value, self._rules.accept(value, copy, returned))
        except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: the turn goes on without it
            late = isinstance(error, TimeoutError) and limit.expired()
            reason = f"It took more than {self._limit_s:g} s." if late else explain(error)
            return HookOutcome(call, value, value, reason)
        finally:
            _plugin.set("")


async def _wait(future: Future[None], chain: _Chain[Any], thread: _HookThread) -> bool:
    """Whether the thread is blocked or dead; False when the chain ended or another gave up its thread."""
    waiter = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait({waiter}, timeout=max(chain.left_s(), 0.01))
        if done:
            if not waiter.cancelled():
                waiter.result()
            return thread.dead and not thread.abandoned
        if chain.give_up_if_late():
            future.cancel()
            return not thread.abandoned


_plugin: ContextVar[str] = ContextVar("_plugin", default="")
"""Whose hook runs, so that tasks that it starts can be ended with its plugin."""


class _HookThread:
    """A daemon thread with an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(self._make_task)
        self._loop.set_exception_handler(_log_quietly)
        self._left_behind: dict[str, set[asyncio.Future[Any]]] = {}
        self.abandoned = False
        """Whether it was given up, because a hook blocked it or the app ends."""
        self.dead = False
        """Whether it ended by itself, because a hook stopped its event loop."""
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        except BaseException as error:  # noqa: BLE001 - SystemExit in a task that a hook started ends this thread
            _logger.info("a hook ended the thread of hooks: %s", explain(error))
        finally:
            self.dead = True
            with suppress(BaseException):  # what hooks left behind may raise whatever it likes
                self._end_tasks()
            self._loop.close()

    def _end_tasks(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        for _ in range(2):  # one step to be cancelled, one to tell who waits
            self._loop.run_until_complete(asyncio.sleep(0))

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Future[Any]:
        task: asyncio.Future[Any] = asyncio.Task(coroutine, loop=loop, **options)
        plugin = _plugin.get()
        if plugin:
            tasks = self._left_behind.setdefault(plugin, set())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return task

    @property
    def usable(self) -> bool:
        """Whether chains may be sent to it."""
        return not (self.abandoned or self.dead)

    def what_blocked(self, limit_s: float) -> str:
        """Why the hook that was started last gave no answer."""
        return "It ended the thread of hooks." if self.dead else f"It blocked for more than {limit_s:g} s."

    def submit(self, chain: _Chain[Any]) -> Future[None] | None:
        """Start a chain; None when the thread has ended."""
        run = chain.run()
        try:
            return asyncio.run_coroutine_threadsafe(run, self._loop)
        except RuntimeError:  # the loop has closed
            run.close()
            self.dead = True
            return None

    def cancel_tasks(self, plugin: str) -> None:
        """End the tasks that a plugin's hooks started."""

        def cancel() -> None:
            for task in self._left_behind.pop(plugin, set()):
                task.cancel()

        with suppress(RuntimeError):  # the loop has closed, and its tasks with it
            self._loop.call_soon_threadsafe(cancel)

    def abandon(self) -> None:
        """End the thread, once the hook in which it may be stuck returns."""
        self.abandoned = True
        with suppress(RuntimeError):  # the loop has closed already
            self._loop.call_soon_threadsafe(self._loop.stop)


_logger = logging.getLogger("jackfield.hooks")


def _log_quietly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a task left behind raises goes to the log; asyncio's own handler may write over the screen."""
    error = context.get("exception")
    _logger.info("a task that a hook left behind: %s", explain(error) if error else context.get("message"))
