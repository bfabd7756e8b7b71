"""The runner of hooks: one thread, limits that hold, and blame where it belongs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from registry.hooks import HookCall, HookOutcome, HookRunner, ValueRules
from tests.registry.plugins_for_tests import until


def _accept(before: list[int], copy: list[int], returned: Any) -> list[int]:
    if returned is not None:
        raise TypeError("no value belongs here")
    return list(copy)


RULES: ValueRules[list[int]] = ValueRules(copy=list, accept=_accept, stops=lambda value: 99 in value)


@pytest.fixture
async def runner() -> AsyncIterator[HookRunner]:
    made = HookRunner()
    yield made
    made.close()


def call(function: Any, plugin: str = "p", *, guard: bool = False) -> HookCall:
    return HookCall(plugin, "on_request", function, guard)


def adding(number: int) -> HookCall:
    return call(lambda value: value.append(number))


def boom(value: list[int]) -> None:
    value.clear()
    raise ValueError("boom")


async def test_each_hook_gets_a_copy_of_what_the_last_good_one_left(runner: HookRunner) -> None:
    given = [0]
    outcomes = await runner.run([adding(1), call(boom), adding(2)], given, RULES, limit_s=30)
    assert [outcome.after for outcome in outcomes] == [[0, 1], [0, 1], [0, 1, 2]]
    assert [bool(outcome.failure) for outcome in outcomes] == [False, True, False]
    assert given == [0]


async def test_a_value_that_stops_is_not_handed_on(runner: HookRunner) -> None:
    outcomes = await runner.run([adding(99), adding(1)], [], RULES, limit_s=30)
    assert [outcome.after for outcome in outcomes] == [[99], [99]]


async def test_after_a_guard_that_fails_no_hook_is_run(runner: HookRunner) -> None:
    ran: list[Any] = []
    calls = [call(boom, guard=True), call(ran.append)]
    assert len(await runner.run(calls, [], RULES, limit_s=30)) == 1
    assert ran == []


async def test_all_hooks_run_on_one_thread_that_is_not_the_app_s(runner: HookRunner) -> None:
    seen: set[int] = set()

    async def note(_: list[int]) -> None:
        seen.add(threading.get_ident())

    for _ in range(5):
        await runner.run([call(note), call(note)], [], RULES, limit_s=30)
    assert len(seen) == 1
    assert threading.get_ident() not in seen


async def test_when_one_chain_loses_its_thread_to_another_it_goes_on_on_a_new_one(runner: HookRunner) -> None:
    release, waiting = threading.Event(), threading.Event()
    times: list[int] = []

    async def waits_the_first_time(_: list[int]) -> None:
        times.append(1)
        waiting.set()
        if len(times) == 1:
            await asyncio.sleep(600)

    innocent = asyncio.create_task(runner.run([call(waits_the_first_time, "good")], [], RULES, limit_s=60))
    await until(waiting.is_set)
    calls = [call(lambda _: release.wait(30), "bad")]
    blocked = await runner.run(calls, [], RULES, limit_s=0.05)
    release.set()
    assert "blocked" in blocked[0].failure
    assert [outcome.failure for outcome in await innocent] == [""]


async def test_cancelling_who_waits_cancels_the_hook(runner: HookRunner) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def waits(_: list[int]) -> None:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            cancelled.set()

    task: asyncio.Task[list[HookOutcome[list[int]]]] = asyncio.create_task(
        runner.run([call(waits)], [], RULES, limit_s=5)
    )
    await until(begun.is_set)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await until(cancelled.is_set)


async def test_a_closed_runner_leaves_no_thread() -> None:
    runner = HookRunner()
    await runner.run([adding(1)], [], RULES, limit_s=30)
    before = [thread for thread in threading.enumerate() if thread.name == "hooks"]
    runner.close()
    runner.close()
    await until(lambda: not any(thread.is_alive() for thread in before))
