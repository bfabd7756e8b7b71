"""One turn: the road from the request over hooks and a provider to the finished answer."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import registry.provider_stream
import registry.turn
from jackfield import (
    ChatRequest,
    ChatResponse,
    Credential,
    ErrorKind,
    Finished,
    Message,
    Plugin,
    PluginContext,
    PluginError,
    ProviderError,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from registry.chat import Progress, StopReason, Usage
from registry.handle import PluginState
from registry.hooks import _HookThread
from registry.turn import HookChanged, HookFailed, Turn, TurnFinished
from tests.gaps import LongestGap
from tests.registry.plugins_for_tests import (
    HELLO,
    Sample,
    ScriptedProvider,
    close_all_registries,
    collect,
    hook_plugin,
    registry_with,
    scripted,
    turn_of,
    until,
)

HOSTILE = "a\x1b]52;c;aGk=\x07b\x9b31mc\u202ed"


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    await close_all_registries()
    gc.collect()  # what is complained about then belongs to this test


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.turn, "HOOK_LIMIT_S", 2.0)
    monkeypatch.setattr(registry.turn, "EVENT_HOOK_LIMIT_S", 2.0)
    monkeypatch.setattr(registry.provider_stream, "CLOSE_LIMIT_S", 2.0)


def finished(events: list[Any]) -> ChatResponse:
    """The answer of a turn; asserts that there is one."""
    assert isinstance(events[-1], TurnFinished)
    return events[-1].response


def failures(events: list[Any]) -> list[HookFailed]:
    return [event for event in events if isinstance(event, HookFailed)]


# -- hooks ---


async def test_a_turn_without_hooks_gives_the_stream_and_then_the_whole_answer(tmp_path: Path) -> None:
    events = await collect(turn_of(registry_with(tmp_path)))
    assert events[:-1] == list(HELLO)
    assert finished(events).message.text == "Hello there"
    assert finished(events).message.model == "scripted/one"


async def test_hooks_run_in_the_order_of_their_plugins_each_on_what_the_one_before_left(
    tmp_path: Path,
) -> None:
    def adding(word: str) -> Any:
        def on_request(request: ChatRequest) -> None:
            request.messages = [Message.of("user", request.messages[0].text + word)]

        return on_request

    plugins = [hook_plugin(name, on_request=adding(name)) for name in ("cc", "aa", "bb")]
    made = registry_with(tmp_path, *plugins)
    turn = turn_of(made, "-")
    events = await collect(turn)
    assert scripted(made).requests[0].messages[0].text == "-aabbcc"
    changes = [event.change for event in events if isinstance(event, HookChanged)]
    assert [change.plugin for change in changes] == ["aa", "bb", "cc"]
    assert "-[user]" not in changes[0].diff
    assert changes[0].diff.splitlines()[-2:] == ["--", "+-aa"]
    assert turn.changes == changes


async def test_the_request_of_the_caller_is_never_changed(tmp_path: Path) -> None:
    def on_request(request: ChatRequest) -> None:
        request.messages.clear()
        request.parameters["temperature"] = 2.0

    request = ChatRequest("one", [Message.of("user", "Hi")], "scripted")
    await collect(Turn(registry_with(tmp_path, hook_plugin(on_request=on_request)), request))
    assert request == ChatRequest("one", [Message.of("user", "Hi")], "scripted")


async def test_what_a_hook_does_to_its_copy_after_it_returned_changes_nothing(tmp_path: Path) -> None:
    kept: list[ChatRequest] = []
    made = registry_with(tmp_path, hook_plugin(on_request=kept.append))
    turn = turn_of(made)
    async with aclosing(turn.events()) as events:
        async for event in events:
            kept[0].messages.clear()
            if isinstance(event, TurnFinished):
                break
    assert scripted(made).requests[0].messages


def _set(**fields: Any) -> Any:
    def change(value: Any) -> None:
        for name, field in fields.items():
            setattr(value, name, field)

    return change


WRONG_REQUESTS: list[Any] = [
    lambda _: "a string",
    _set(messages=None),
    _set(messages=["text"]),
    _set(messages=[Message("robot", ())]),  # type: ignore[arg-type]
    _set(messages=[Message("user", ("text",))]),  # type: ignore[arg-type]
    _set(model=3),
    _set(system=3),
    _set(provider=None),
    _set(parameters=[1]),
    _set(parameters={"a": object()}),
]


@pytest.mark.parametrize("hook", WRONG_REQUESTS)
async def test_a_request_hook_that_leaves_a_wrong_type_is_gone_without(tmp_path: Path, hook: Any) -> None:
    made = registry_with(
        tmp_path, hook_plugin(on_request=hook), hook_plugin("second", on_request=_set(system="x"))
    )
    events = await collect(turn_of(made))
    assert [(failed.plugin, failed.hook) for failed in failures(events)] == [("hooked", "on_request")]
    assert failures(events)[0].reason.startswith("TypeError: on_request")
    assert scripted(made).requests == [ChatRequest("one", [Message.of("user", "Hi")], "scripted", "x")]


@pytest.mark.parametrize(
    "hook",
    [lambda _: 1, _set(message=None), _set(message="x"), _set(stop="end"), _set(usage=3),
     _set(message=Message("assistant", (1,)))],  # type: ignore[arg-type]
)  # fmt: skip
async def test_a_response_hook_that_leaves_a_wrong_type_is_gone_without(tmp_path: Path, hook: Any) -> None:
    events = await collect(turn_of(registry_with(tmp_path, hook_plugin(on_response=hook))))
    assert [failed.hook for failed in failures(events)] == ["on_response"]
    assert finished(events).message.text == "Hello there"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        SystemExit(3),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        GeneratorExit(),
        TimeoutError("its own"),
        StopIteration(),
    ],
)
@pytest.mark.parametrize("asynchronous", [True, False])
async def test_whatever_a_hook_raises_the_turn_goes_on_with_the_last_good_request(
    tmp_path: Path, error: BaseException, asynchronous: bool
) -> None:
    def plain(request: ChatRequest) -> None:
        request.messages.clear()
        raise error

    async def hook(request: ChatRequest) -> None:
        plain(request)

    made = registry_with(tmp_path, hook_plugin(on_request=hook if asynchronous else plain))
    events = await collect(turn_of(made))
    assert len(failures(events)) == 1
    assert "took more than" not in failures(events)[0].reason
    assert scripted(made).requests[0].messages == [Message.of("user", "Hi")]
    finished(events)


@pytest.mark.usefixtures("short_limits")
async def test_a_hook_that_hangs_is_left_behind_and_the_next_one_runs(tmp_path: Path) -> None:
    release = threading.Event()

    async def waits(request: ChatRequest) -> None:
        request.messages.clear()
        await asyncio.sleep(60)

    async def ignores_its_end(request: ChatRequest) -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    def blocks(request: ChatRequest) -> None:
        request.messages.clear()
        release.wait(30)

    made = registry_with(
        tmp_path,
        hook_plugin("aa", on_request=waits),
        hook_plugin("bb", on_request=blocks),
        hook_plugin("cc", on_request=ignores_its_end),
        hook_plugin("dd", on_request=_set(system="good")),
    )
    try:
        gap = LongestGap()
        async with gap:
            events = await collect(turn_of(made))
    finally:
        release.set()
    assert [failed.plugin for failed in failures(events)] == ["aa", "bb", "cc"]
    assert "more than 2 s" in failures(events)[1].reason
    assert scripted(made).requests[0].messages == [Message.of("user", "Hi")]
    assert scripted(made).requests[0].system == "good"
    assert gap.seconds < 10, "what blocks would do so for 30 s"
    await made.aclose()
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "hooks"])


@pytest.mark.usefixtures("short_limits")
async def test_a_hook_is_not_blamed_for_the_thread_that_another_turn_blocked(tmp_path: Path) -> None:
    release, entered = threading.Event(), threading.Event()

    def blocks_once(request: ChatRequest) -> None:
        if not entered.is_set():
            entered.set()
            release.wait(30)

    made = registry_with(tmp_path, hook_plugin(on_request=blocks_once))
    first = asyncio.create_task(collect(turn_of(made)))
    await until(entered.is_set)
    first.cancel()
    await asyncio.wait({first})
    try:
        events = await collect(turn_of(made))
    finally:
        release.set()
    assert failures(events) == []
    finished(events)


async def test_a_hook_that_ends_its_thread_fails_and_the_next_turn_has_a_new_one(
    tmp_path: Path, short_limits: None
) -> None:
    def stops_the_loop(_: ChatRequest) -> Any:
        asyncio.get_running_loop().stop()
        return asyncio.sleep(30)

    made = registry_with(tmp_path, hook_plugin(on_request=stops_the_loop))
    assert [failed.plugin for failed in failures(await collect(turn_of(made)))] == ["hooked"]
    events = await collect(turn_of(made))
    assert failures(events)[0].switched_off


async def test_tasks_that_a_hook_left_behind_end_with_its_plugin(tmp_path: Path) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def on_request(_: ChatRequest) -> None:
        tasks.append(asyncio.create_task(asyncio.sleep(600)))

    made = registry_with(tmp_path, hook_plugin(on_request=on_request))
    await collect(turn_of(made))
    assert not tasks[0].done()
    await made.disable("hooked")
    await until(tasks[0].done)


# -- failures and switching off ---


def boom(_: object) -> None:
    raise ValueError("boom \x1b[31m[b]red")


async def test_two_failures_within_five_minutes_switch_the_plugin_off_and_keep_the_reason(
    tmp_path: Path,
) -> None:
    now = [0.0]
    made = registry_with(tmp_path, hook_plugin(on_request=boom), clock=lambda: now[0])
    first = failures(await collect(turn_of(made)))
    now[0] = 300.0
    second = failures(await collect(turn_of(made)))
    assert [failed.switched_off for failed in first + second] == [False, True]
    handle = made.handle("hooked")
    assert handle.state is PluginState.AUTO_DISABLED
    assert handle.reason == "on_request: ValueError: boom [b]red" == f"on_request: {second[0].reason}"
    assert failures(await collect(turn_of(made))) == []


async def test_two_failures_further_apart_leave_the_plugin_on(tmp_path: Path) -> None:
    now = [0.0]
    made = registry_with(tmp_path, hook_plugin(on_request=boom), clock=lambda: now[0])
    for _ in range(4):
        assert [failed.switched_off for failed in failures(await collect(turn_of(made)))] == [False]
        now[0] += 300.1
    assert made.handle("hooked").contributes


async def test_failures_of_different_hooks_count_separately(tmp_path: Path) -> None:
    made = registry_with(tmp_path, hook_plugin(on_request=boom, on_response=boom))
    events = await collect(turn_of(made))
    assert [(failed.hook, failed.switched_off) for failed in failures(events)] == [
        ("on_request", False),
        ("on_response", False),
    ]
    assert made.handle("hooked").contributes


async def test_a_plugin_that_cannot_be_loaded_is_switched_off_at_once_and_the_user_is_told(
    tmp_path: Path,
) -> None:
    made = registry_with(tmp_path, Sample("broken", fail={"on_init": ImportError("gone")}))
    events = await collect(turn_of(made))
    assert [(failed.plugin, failed.switched_off) for failed in failures(events)] == [("broken", True)]
    assert "ImportError: gone" in made.handle("broken").reason
    assert made.handle("broken").state is PluginState.AUTO_DISABLED
    finished(events)


async def test_a_failure_after_the_user_switched_the_plugin_off_does_not_bring_it_back(
    tmp_path: Path,
) -> None:
    made = registry_with(tmp_path, hook_plugin(on_request=boom))
    await made.disable("hooked")
    assert not made.note_failure("hooked", "on_request", "late")
    assert made.handle("hooked").state is PluginState.INSTALLED
    await made.unregister("hooked")
    assert not made.note_failure("hooked", "on_request", "later")


# -- guards ---


@pytest.mark.parametrize("hook", ["on_request", "on_event", "on_response"])
async def test_a_guard_that_fails_lets_no_answer_be_finished_and_is_never_switched_off(
    tmp_path: Path, hook: str
) -> None:
    made = registry_with(tmp_path, hook_plugin("censor", guard=True, **{hook: boom}))
    for _ in range(3):
        seen: list[Any] = []
        with pytest.raises(PluginError, match="The guard censor failed") as caught:  # noqa: PT012
            async for event in turn_of(made).events():
                seen.append(event)  # noqa: PERF401 - what came before the error counts
        assert "boom" in caught.value.detail
        assert "\x1b" not in caught.value.detail
        assert not any(isinstance(event, TurnFinished) for event in seen)
    assert bool(scripted(made).requests) is (hook != "on_request")
    assert made.handle("censor").state is PluginState.FAILED
    assert made.handle("censor").contributes
    assert scripted(made).stopped == len(scripted(made).requests)
    await made.disable("censor")
    finished(await collect(turn_of(made)))


async def test_no_other_hook_sees_what_a_failed_guard_did_not_let_pass(tmp_path: Path) -> None:
    seen: list[ChatRequest] = []
    made = registry_with(
        tmp_path, hook_plugin("aa", guard=True, on_request=boom), hook_plugin("bb", on_request=seen.append)
    )
    with pytest.raises(PluginError):
        await collect(turn_of(made))
    assert seen == []


@pytest.mark.parametrize("hook", ["on_request", "on_event", "on_response"])
async def test_a_guard_that_cannot_be_loaded_lets_nothing_be_sent(tmp_path: Path, hook: str) -> None:
    def on_init(self: Plugin, ctx: PluginContext) -> None:
        raise ImportError("gone")

    guard = hook_plugin("censor", guard=True, **{hook: lambda value: None})
    type(guard).on_init = on_init  # type: ignore[method-assign]
    made = registry_with(tmp_path, guard)
    for _ in range(3):
        with pytest.raises(PluginError, match="guard censor"):
            await collect(turn_of(made))
    assert scripted(made).requests == []
    await made.disable("censor")
    finished(await collect(turn_of(made)))


@pytest.mark.usefixtures("short_limits")
async def test_a_guard_that_hangs_lets_nothing_be_sent(tmp_path: Path) -> None:
    release = threading.Event()
    made = registry_with(tmp_path, hook_plugin(guard=True, on_request=lambda _: release.wait(30)))
    try:
        with pytest.raises(PluginError, match="guard hooked"):
            await collect(turn_of(made))
    finally:
        release.set()
    assert scripted(made).requests == []


# -- events and answers ---


async def test_event_hooks_change_and_drop_events_and_the_turn_says_so(tmp_path: Path) -> None:
    async def on_event(event: StreamEvent) -> StreamEvent | None:
        match event:
            case TextDelta(text="Hello"):
                return TextDelta("Goodbye")
            case TextDelta():
                return None
        return event

    turn = turn_of(registry_with(tmp_path, hook_plugin(on_event=on_event)))
    events = await collect(turn)
    assert events[:2] == [TextDelta("Goodbye"), Finished()]
    assert finished(events).message.text == "Goodbye"
    assert [change.hook for change in turn.changes] == ["on_event"]
    assert turn.changes[0].diff.splitlines()[-4:] == ["-Hello", "- there", "+Goodbye", "+(dropped)"]


@pytest.mark.parametrize(
    "hook",
    [lambda _: "text", lambda _: TextDelta(3), lambda _: Finished(),  # type: ignore[arg-type]
     lambda event: None if isinstance(event, Finished) else event, boom],
)  # fmt: skip
async def test_an_event_hook_that_fails_leaves_the_event_as_it_was(tmp_path: Path, hook: Any) -> None:
    made = registry_with(tmp_path, hook_plugin(on_event=hook))
    events = await collect(turn_of(made))
    assert failures(events)
    assert all(failed.hook == "on_event" for failed in failures(events))
    assert len(failures(events)) <= 2
    assert finished(events).message.text == "Hello there"


@pytest.mark.usefixtures("short_limits")
async def test_an_event_hook_that_hangs_costs_two_limits_and_is_gone(tmp_path: Path) -> None:
    async def on_event(event: StreamEvent) -> StreamEvent:
        await asyncio.sleep(60)
        return event

    script = [*(TextDelta(str(number)) for number in range(50)), Finished()]
    made = registry_with(tmp_path, hook_plugin(on_event=on_event), script=script)
    events = await collect(turn_of(made))
    assert [failed.switched_off for failed in failures(events)] == [False, True]
    assert finished(events).message.text == "".join(map(str, range(50)))


async def test_a_plugin_that_is_switched_off_during_an_answer_hooks_no_more_of_it(tmp_path: Path) -> None:
    async def on_event(event: StreamEvent) -> StreamEvent | None:
        return None if isinstance(event, TextDelta) else event

    go_on = asyncio.Event()
    script = [TextDelta("dropped"), Progress("x"), go_on.wait, TextDelta("kept"), Finished()]
    made = registry_with(tmp_path, hook_plugin(on_event=on_event), script=script)
    turn = turn_of(made)
    async for event in turn.events():
        if isinstance(event, Progress):
            await made.disable("hooked")
            go_on.set()
    assert turn.partial.message.text == "kept"


async def test_what_a_response_hook_makes_of_the_answer_is_kept_and_made_safe(tmp_path: Path) -> None:
    def on_response(response: ChatResponse) -> None:
        response.message = response.message.with_text(HOSTILE)

    turn = turn_of(registry_with(tmp_path, hook_plugin(on_response=on_response)))
    events = await collect(turn)
    assert finished(events).message.text == "abcd"
    assert turn.changes[0].diff.splitlines()[-2:] == ["-Hello there", "+abcd"]


@pytest.mark.parametrize("cut", range(1, len(HOSTILE)))
async def test_hostile_text_is_made_safe_wherever_events_cut_it(tmp_path: Path, cut: int) -> None:
    script = [TextDelta(HOSTILE[:cut]), TextDelta(HOSTILE[cut:]), ThinkingDelta(HOSTILE), Finished()]
    events = await collect(turn_of(registry_with(tmp_path, script=script)))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "abcd"
    assert finished(events).message.text == "abcd"


async def test_what_an_event_hook_adds_is_made_safe_too(tmp_path: Path) -> None:
    made = registry_with(
        tmp_path, hook_plugin(on_event=lambda e: TextDelta(HOSTILE) if isinstance(e, TextDelta) else e)
    )
    assert finished(await collect(turn_of(made))).message.text == "abcdabcd"


async def test_the_other_texts_of_events_are_made_safe(tmp_path: Path) -> None:
    script = [
        Progress(HOSTILE),
        ToolCallStarted(0, HOSTILE, HOSTILE),
        ToolArgumentsDelta(0, '{"a": "\u202e\x1b"}'),
        Finished(details={HOSTILE: HOSTILE}),
    ]
    events = await collect(turn_of(registry_with(tmp_path, script=script)))
    assert events[:-1] == [
        Progress("abcd"),
        ToolCallStarted(0, "abcd", "abcd"),
        ToolArgumentsDelta(0, r'{"a": "\u202e\u001b"}'),
        Finished(details={"abcd": "abcd"}),
    ]


async def test_text_that_was_held_back_is_kept_when_the_stream_breaks_off(tmp_path: Path) -> None:
    turn = turn_of(registry_with(tmp_path, script=[TextDelta("so far\x1b]0;title")]))
    with pytest.raises(ProviderError):
        await collect(turn)
    assert turn.partial.message.text == "so far]0;title"


async def test_a_hook_that_sends_the_request_elsewhere_does_not_send_the_credential_along(
    tmp_path: Path,
) -> None:
    other = ScriptedProvider("other")
    made = registry_with(
        tmp_path, Sample("other", provider=other), hook_plugin(on_request=_set(provider="other", model="two"))
    )
    credential = Credential()
    events = await collect(turn_of(made, credential=credential))
    assert other.credentials == [None]
    assert finished(events).message.model == "other/two"
    await made.disable("hooked")
    await collect(turn_of(made, credential=credential))
    assert scripted(made).credentials == [credential]


# -- what providers do ---


async def fail_of(turn: Turn) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await collect(turn)
    return caught.value


@pytest.mark.parametrize("before", [[], [TextDelta("so "), TextDelta("far")]])
async def test_a_provider_error_passes_as_it_is_and_the_partial_answer_is_kept(
    tmp_path: Path, before: list[StreamEvent]
) -> None:
    error = ProviderError(ErrorKind.OVERLOADED, "Too much to do", retry_after_s=3)
    turn = turn_of(registry_with(tmp_path, script=[*before, error]))
    assert await fail_of(turn) is error
    assert turn.partial.message.text == "".join(
        event.text for event in before if isinstance(event, TextDelta)
    )


@pytest.mark.parametrize(
    "error",
    [ValueError(HOSTILE), PluginError("not one of a provider"), SystemExit(1), KeyboardInterrupt(),
     asyncio.CancelledError(), StopAsyncIteration()],
)  # fmt: skip
@pytest.mark.parametrize("before", [[], [TextDelta("so far")]])
async def test_anything_else_that_a_provider_raises_is_a_protocol_error_with_a_hint(
    tmp_path: Path, error: BaseException, before: list[StreamEvent]
) -> None:
    turn = turn_of(registry_with(tmp_path, script=[*before, error]))
    failure = await fail_of(turn)
    assert failure.kind is ErrorKind.PROTOCOL
    assert failure.hint
    assert "\x1b" not in str(failure)
    assert turn.partial.message.text == ("so far" if before else "")


async def test_a_stream_that_ends_without_its_end_mark_was_truncated(tmp_path: Path) -> None:
    turn = turn_of(registry_with(tmp_path, script=[TextDelta("half an")]))
    assert (await fail_of(turn)).kind is ErrorKind.TRUNCATED_STREAM
    assert turn.partial.message.text == "half an"
    assert turn.partial.stop is StopReason.OTHER


async def test_what_follows_the_end_mark_is_ignored_and_the_stream_is_closed(tmp_path: Path) -> None:
    made = registry_with(tmp_path, script=[*HELLO, TextDelta("more"), ValueError("late")])
    assert finished(await collect(turn_of(made))).message.text == "Hello there"
    assert scripted(made).stopped == 1


WRONG: Any = object()


@pytest.mark.parametrize(
    "event", ["text", None, 3, TextDelta(WRONG), Finished(usage=WRONG), Finished(details={WRONG: "x"})]
)
async def test_an_event_of_a_wrong_type_is_a_protocol_error(tmp_path: Path, event: Any) -> None:
    turn = turn_of(registry_with(tmp_path, script=[TextDelta("ok"), event, Finished()]))
    assert (await fail_of(turn)).kind is ErrorKind.PROTOCOL
    assert turn.partial.message.text == "ok"


async def _coroutine(*_: object) -> list[StreamEvent]:
    return []


def _raises(*_: object) -> None:
    raise SystemExit(2)


@pytest.mark.parametrize("stream", [_coroutine, lambda *_: [TextDelta("x")], lambda *_: None, _raises])
async def test_a_stream_that_is_no_asynchronous_iterator_is_a_protocol_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    made = registry_with(tmp_path)
    monkeypatch.setattr(scripted(made), "stream", stream)
    assert (await fail_of(turn_of(made))).kind is ErrorKind.PROTOCOL


def _arguments(text: str) -> StreamEvent:
    return ToolArgumentsDelta(0, text)


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        (TextDelta, "x"),
        (TextDelta, "é\n\u202e"),
        (ThinkingDelta, "é\n\u202e"),
        (_arguments, '{"key": "välue"}\n'),
    ],
)
async def test_ten_megabytes_in_one_event_come_in_pieces_and_do_not_stop_the_loop(
    tmp_path: Path, kind: Any, unit: str
) -> None:
    made = registry_with(tmp_path, script=[kind(unit * (10_000_000 // len(unit))), Finished()])
    async with LongestGap(time.thread_time) as gap:
        events = [event async for event in turn_of(made).events()]
    assert len(events) > 1000
    assert max(len(getattr(event, "text", "")) for event in events) < 60_000
    assert gap.seconds < 0.06


@pytest.mark.usefixtures("short_limits")
async def test_a_provider_that_never_stops_is_left_behind_at_the_limit(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def refuses_to_end() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    made = registry_with(tmp_path, script=[TextDelta("x"), refuses_to_end])
    turn = turn_of(made)
    task = asyncio.create_task(collect(turn))
    await until(lambda: turn.partial.message.text)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done
    assert task.cancelled()
    release.set()
    await until(lambda: scripted(made).stopped)


class _SlowToClose:
    """An iterator that ends at once and whose `aclose` never does."""

    def __init__(self) -> None:
        self.events = iter(HELLO)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        return next(self.events)

    async def aclose(self) -> None:
        await asyncio.sleep(600)


@pytest.mark.usefixtures("short_limits")
async def test_a_stream_that_does_not_close_costs_its_limit_and_not_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = registry_with(tmp_path)
    monkeypatch.setattr(scripted(made), "stream", lambda *_: _SlowToClose())
    assert finished(await collect(turn_of(made))).message.text == "Hello there"
    await until(lambda: not _other_tasks())


# -- cancellation ---


def _other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.mark.parametrize("steps", range(40))
async def test_a_turn_can_be_cancelled_at_any_point_and_leaves_nothing(tmp_path: Path, steps: int) -> None:
    async def slow(value: Any) -> Any:
        await asyncio.sleep(0.001)
        return value if isinstance(value, TextDelta | Finished) else None

    async def pause() -> None:
        await asyncio.sleep(0)

    made = registry_with(
        tmp_path,
        hook_plugin(on_request=slow, on_event=slow, on_response=slow),
        script=[pause, TextDelta("a"), pause, TextDelta("b"), Finished()],
    )
    task = asyncio.create_task(collect(turn_of(made)))
    for step in range(steps):
        await asyncio.sleep(0.002 if step % 4 == 3 else 0)
    task.cancel()
    await asyncio.wait({task})
    assert scripted(made).stopped == len(scripted(made).requests)
    await made.aclose()
    await until(lambda: not _other_tasks())
    await until(
        lambda: not [t for t in threading.enumerate() if t.name == "hooks" or t.name.startswith("load ")]
    )


@pytest.mark.parametrize("taken", range(1, 5))
async def test_closing_the_events_stops_the_provider_at_the_source(tmp_path: Path, taken: int) -> None:
    made = registry_with(tmp_path, hook_plugin(on_event=lambda event: event))
    events = turn_of(made).events()
    for _ in range(taken):
        await anext(events)
    await events.aclose()
    assert scripted(made).stopped == 1
    assert not _other_tasks()


async def test_usage_and_stop_of_the_end_mark_are_those_of_the_answer(tmp_path: Path) -> None:
    script = [TextDelta("x"), Finished(StopReason.LENGTH, Usage(input=1, output=2))]
    response = finished(await collect(turn_of(registry_with(tmp_path, script=script))))
    assert (response.stop, response.usage.total) == (StopReason.LENGTH, 3)


def test_a_hook_thread_that_was_given_up_twice_does_not_mind() -> None:
    thread = _HookThread()
    thread.abandon()
    thread.abandon()
    assert not thread.usable
