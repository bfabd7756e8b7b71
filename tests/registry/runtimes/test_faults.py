"""Whatever a plugin's process does, the call fails at once with a reason, and the app goes on."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from jackfield import CommandCall, ErrorKind, ProviderError, TextDelta
from registry.errors import PluginError
from registry.handle import PluginState
from registry.launch import Launch, Limits
from registry.runtimes.faults import provider_error
from registry.runtimes.peer_errors import RemoteFault
from registry.runtimes.process import ProcessPlugin, describe_process
from registry.runtimes.restarts import CRASHES_ALLOWED, Restarts
from registry.turn import HookFailed, Turn
from tests.gaps import Pulse
from tests.processes import children, working_in
from tests.registry.plugins_for_tests import Sample, ScriptedProvider, until
from tests.registry.runtimes.broken_messages import RAW
from tests.registry.runtimes.folders import (
    PATIENT,
    QUICK,
    context,
    registry_of,
    request,
    started,
    with_limits,
    write_hook,
    write_plugin,
    write_raw,
)


async def failure_of(plugin: ProcessPlugin) -> str:
    """What its request hook fails with, as the user reads it; the event loop goes on meanwhile."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with Pulse() as took_s:
        try:
            with pytest.raises(PluginError) as failed:
                await plugin.on_request(request())
        finally:
            ticking.cancel()
        assert ticks >= took_s() / 0.05 - 2, f"the event loop stood still: {ticks} ticks in {took_s():.2f} s"
    return str(failed.value)


DEATHS = {
    "os._exit(3)": "status 3",
    "os.kill(os.getpid(), signal.SIGKILL)": "SIGKILL",
    "ctypes.string_at(0)": "SIGSEGV",
    "os.abort()": "SIGABRT",
}


@pytest.mark.parametrize("death", DEATHS)
async def test_a_crash_fails_the_call_with_its_last_words(tmp_path: Path, death: str) -> None:
    launch = write_hook(tmp_path, f"print('my \\x1b[31mlast words', file=sys.stderr, flush=True)\n{death}")
    async with started(launch, tmp_path) as plugin:
        begun = time.monotonic()
        failure = await failure_of(plugin)
        assert time.monotonic() - begun < 30, "it was waited for to its limit"
    assert DEATHS[death] in failure
    assert "my last words" in failure


async def test_it_is_started_again_after_a_crash(tmp_path: Path) -> None:
    crash_once = """
        flag = __file__ + '.flag'
        if not os.path.exists(flag):
            open(flag, 'w').close()
            os._exit(1)
    """
    async with started(write_hook(tmp_path, crash_once), tmp_path) as plugin:
        assert "status 1" in await failure_of(plugin)
        await plugin.on_request(request())
        assert not plugin.given_up


HANGS = {
    "an infinite loop": "while True: pass",
    "a loop that sleeps": "while True: time.sleep(0.3)",
    "a task that ignores its cancellation": """
        import asyncio
        while True:
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                pass
    """,
}


@pytest.mark.parametrize("hang", HANGS)
async def test_a_hook_that_hangs_is_left_at_its_limit_and_ended(tmp_path: Path, hang: str) -> None:
    before = children()
    async with started(write_hook(tmp_path, HANGS[hang], QUICK), tmp_path) as plugin:
        assert "took more than 1 s" in await failure_of(plugin)
        await until(lambda: children() == before)


async def test_a_hook_that_heeds_its_cancellation_costs_only_the_call(tmp_path: Path) -> None:
    body = """
        import asyncio
        if request.messages[-1].text == 'hang':
            await asyncio.sleep(60)
        request.system = str(os.getpid())
    """
    async with started(write_hook(tmp_path, body, replace(PATIENT, hook_s=1.0)), tmp_path) as plugin:
        first, second = request(), request()
        await plugin.on_request(first)
        with pytest.raises(PluginError, match="took more than"):
            await plugin.on_request(request("hang"))
        await plugin.on_request(second)
        assert first.system == second.system, "its process was ended though it does not hang"


async def test_two_crashes_of_a_hook_switch_its_plugin_off_and_the_turns_go_on(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, await describe_process(write_hook(tmp_path / "code", "os._exit(7)")))
    registry.register(Sample("zz", provider=ScriptedProvider("scripted")))
    failed: list[HookFailed] = []
    for _ in range(2):
        events = [event async for event in Turn(registry, request(provider="scripted")).events()]
        failed += [event for event in events if isinstance(event, HookFailed)]
    assert [event.switched_off for event in failed] == [False, True]
    assert "status 7" in failed[0].reason
    assert registry.handle("hooked").state is PluginState.AUTO_DISABLED
    await registry.aclose()


DYING_PROVIDER = """
import os
from jackfield import *

class Dying(Provider):
    name = "dying"
    known_models = (Model("m"),)
    async def stream(self, request, credential):
        yield TextDelta("I am")
        os._exit(9)

async def die(call):
    os._exit(9)

class DyingPlugin(Plugin):
    name = "dying"
    version = "1.0"
    def providers(self):
        return [Dying()]
    def commands(self):
        return [Command("die", "Dies", die)]
"""


async def test_a_crash_in_the_middle_of_an_answer_ends_it_with_an_error(tmp_path: Path) -> None:
    async with started(write_plugin(tmp_path, DYING_PROVIDER), tmp_path) as plugin:
        with pytest.raises(ProviderError) as failed:
            _ = [event async for event in plugin.providers()[0].stream(request(), None)]
        assert failed.value.kind is ErrorKind.CONNECTION
        assert "status 9" in failed.value.detail


async def test_a_plugin_that_crashes_again_and_again_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.runtimes.restarts._FIRST_WAIT_S", 0.01)
    registry = registry_of(tmp_path, await describe_process(write_plugin(tmp_path / "code", DYING_PROVIDER)))
    command = await registry.command("die")
    for _ in range(CRASHES_ALLOWED):
        with pytest.raises(PluginError, match="status 9"):
            await command.run(CommandCall(""))
    with pytest.raises(PluginError, match="given up"):
        await registry.command("die")
    assert registry.handle("dying").state is PluginState.AUTO_DISABLED
    await registry.enable("dying")
    with pytest.raises(PluginError, match="status 9"):
        await (await registry.command("die")).run(CommandCall(""))
    await registry.aclose()


@pytest.mark.parametrize(
    ("data", "kind", "wait_s"),
    [
        ({"kind": "rate_limited", "retry_after_s": 3}, ErrorKind.RATE_LIMITED, 3.0),
        ({"kind": "rate_limited", "retry_after_s": 10**400}, ErrorKind.RATE_LIMITED, None),
        ({"kind": "rate_limited", "retry_after_s": float("inf")}, ErrorKind.RATE_LIMITED, None),
        ({"kind": "rate_limited", "retry_after_s": True}, ErrorKind.RATE_LIMITED, None),
        ({"kind": []}, ErrorKind.PROTOCOL, None),
        ({"kind": "no such kind"}, ErrorKind.PROTOCOL, None),
    ],
)
def test_an_error_with_anything_in_its_fields_is_one_of_a_provider(
    data: dict[str, Any], kind: ErrorKind, wait_s: float | None
) -> None:
    error = provider_error("Acme", RemoteFault(data))
    assert (error.kind, error.retry_after_s) == (kind, wait_s)


async def test_a_guard_that_crashes_stops_the_turn(tmp_path: Path) -> None:
    launch = write_raw(tmp_path / "code", "os._exit(8)", guard=True)
    registry = registry_of(tmp_path, await describe_process(launch))
    provider = ScriptedProvider("scripted")
    registry.register(Sample("zz", provider=provider))
    with pytest.raises(PluginError, match="The guard raw failed") as stopped:
        _ = [event async for event in Turn(registry, request(provider="scripted")).events()]
    assert "status 8" in stopped.value.detail
    assert provider.requests == []
    await registry.aclose()


async def test_while_a_restart_is_far_off_calls_fail_at_once(tmp_path: Path) -> None:
    launch = write_hook(tmp_path, "pass")
    async with started(launch, tmp_path) as plugin:
        for _ in range(6):
            plugin._restarts.note_crash()
        plugin._peer = None
        with pytest.raises(PluginError, match=r"started again in \d+ s"):
            await plugin.on_request(request())


def test_restarts_wait_longer_each_time_but_not_the_first() -> None:
    now = 0.0
    restarts = Restarts(lambda: now)
    waits = []
    for _ in range(4):
        restarts.note_crash()
        waits.append(restarts.wait_s)
    assert waits == [0.0, 0.5, 1.0, 2.0]
    assert restarts.given_up
    restarts.note_success()
    assert restarts.wait_s == 0
    assert not restarts.given_up


async def test_what_it_prints_cannot_corrupt_the_protocol(tmp_path: Path) -> None:
    body = """
        print('{"jsonrpc": "2.0", "id": 99, "result": 1}', flush=True)
        os.write(1, b"raw bytes\\n")
        ctypes.CDLL(None).puts(b"from C")
        os.system("echo from a program; cat")
        request.system = "fine"
    """
    async with started(write_hook(tmp_path, body), tmp_path) as plugin:
        asked = request()
        await plugin.on_request(asked)
        assert asked.system == "fine"


async def test_a_gigabyte_of_output_is_not_kept(tmp_path: Path) -> None:
    body = "chunk = (b'x' * 99 + b'\\n') * 10000\nfor _ in range(1000): os.write(1, chunk)\nos._exit(5)"
    launch = write_hook(tmp_path, body)
    async with started(launch, tmp_path) as plugin:
        before = _memory()
        failure = await failure_of(plugin)
        assert "status 5" in failure
        assert len(failure) < 4000
        assert _memory() - before < 50 * 2**20


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_memory_hog_ends_at_its_limit(tmp_path: Path) -> None:
    launch = with_limits(write_hook(tmp_path, "hog = bytearray(2**30)"), memory_bytes=400 * 2**20)
    async with started(launch, tmp_path) as plugin:
        assert "MemoryError" in await failure_of(plugin)


async def test_processor_time_is_limited(tmp_path: Path) -> None:
    launch = with_limits(write_hook(tmp_path, "while True: pass"), cpu_s=1, hook_s=20.0)
    async with started(launch, tmp_path) as plugin:
        assert "SIGXCPU" in await failure_of(plugin)


async def test_open_files_are_limited(tmp_path: Path) -> None:
    launch = with_limits(write_hook(tmp_path, "kept = [open(os.devnull) for _ in range(100)]"), open_files=50)
    async with started(launch, tmp_path) as plugin:
        assert "Too many open files" in await failure_of(plugin)


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    """A bomb of processes is held by RLIMIT_NPROC for a user who is not root, and ended with its group."""
    before = children()
    body = """
        for _ in range(5):
            if os.fork() == 0:
                for _ in range(2): os.fork()
                time.sleep(600)
        os._exit(1)
    """
    async with started(write_hook(tmp_path, body), tmp_path) as plugin:
        assert "status 1" in await failure_of(plugin)
        await until(lambda: children() == before)
    await until(lambda: not working_in(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to who watches over them")
async def test_what_left_its_process_group_ends_with_it(tmp_path: Path) -> None:
    body = """
        import subprocess
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(600)
            os._exit(0)
        os._exit(1)
    """
    async with started(write_hook(tmp_path, body), tmp_path) as plugin:
        assert "status 1" in await failure_of(plugin)
    await until(lambda: not working_in(tmp_path))


def test_a_fork_of_the_plugin_does_not_answer_in_its_place(tmp_path: Path) -> None:
    body = """
        if os.fork() == 0:
            request.system = 'the fork'
        else:
            os.wait()
            request.system = 'the plugin'
    """

    async def run() -> None:
        async with started(write_hook(tmp_path, body), tmp_path) as plugin:
            asked = request()
            await plugin.on_request(asked)
            assert asked.system == "the plugin"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('not today')", "not today"),
        ("import os; os._exit(4)", "status 4"),
        ("while True: pass", "not ready within 1 s"),
        (
            "from jackfield import *\nclass P(Plugin):\n    name = 'Bad Name'\n    version = '1'",
            "not allowed",
        ),
        ("class P: pass", "not a plugin"),
    ],
)
async def test_one_that_cannot_be_described_says_why(tmp_path: Path, code: str, reason: str) -> None:
    (tmp_path / "written.py").write_text(code, encoding="utf-8")
    limits = Limits(start_s=1.0 if "within 1 s" in reason else 30.0, stop_s=0.3)
    with pytest.raises(PluginError) as failed:
        await describe_process(Launch(None, tmp_path, "written:P", limits=limits))
    assert reason in str(failed.value)


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"no-such-program could not be run: No such file"):
        await describe_process(Launch(("./no-such-program",), tmp_path, limits=QUICK))
    with pytest.raises(PluginError, match="could not be started"):
        await describe_process(Launch(("x",), tmp_path / "nowhere", limits=QUICK))


@pytest.mark.parametrize("fault", RAW)
async def test_a_message_that_breaks_the_protocol_fails_the_call(tmp_path: Path, fault: str) -> None:
    then, reason = RAW[fault]
    launch = write_raw(tmp_path, then)
    plugin = ProcessPlugin(launch, await describe_process(launch))
    ctx = context(tmp_path)
    await asyncio.to_thread(plugin.on_init, ctx)
    try:
        await plugin.on_request(request())
    except PluginError as error:
        said = str(error)
    else:
        assert fault == "an answer given twice", "the call itself has its answer"
        assert plugin._peer is not None
        async with asyncio.timeout(20):
            end = await asyncio.wrap_future(plugin._peer.gone)
        said = str(end)
    assert reason in said
    await plugin.aclose()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("{'protocol': 2, 'plugin': {}}", "speaks version 2 of the protocol; this app speaks 1"),
        ("{'plugin': {}}", "names no version"),
        ("[]", "names no version"),
        ("{'protocol': 1, 'plugin': {'name': 'x'}}", "does not describe itself"),
        ("{'protocol': 1, 'plugin': []}", "does not describe itself"),
        (
            "{'protocol': 1, 'plugin': {'name': 'x', 'version': '1', 'hooks': ['on_fire']}}",
            "does not describe",
        ),
    ],
)
async def test_a_handshake_that_is_wrong_is_refused(tmp_path: Path, answer: str, reason: str) -> None:
    message = f"{{'jsonrpc': '2.0', 'id': id, 'result': {answer}}}"
    code = f"import json\nid = json.loads(input())['id']\nprint(json.dumps({message}), flush=True)\ninput()\n"
    (tmp_path / "raw.py").write_text(code, encoding="utf-8")
    with pytest.raises(PluginError) as refused:
        await describe_process(Launch((sys.executable, "-I", "-S", "raw.py"), tmp_path, limits=QUICK))
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"hooks": ["on_request", "on_event"]}, "hooks"),
        ({"guard": True}, "guard"),
        ({"commands": [{"name": "new", "summary": ""}]}, "commands"),
        ({"capabilities": {"hosts": ["evil.example"]}}, "capabilities"),
        ({"auth_methods": [{"type": "api_key"}]}, "auth_methods"),
        ({"version": "2.0"}, "version"),
    ],
)
async def test_contributions_that_changed_since_it_was_described_keep_it_from_starting(
    tmp_path: Path, said: dict[str, Any], field: str
) -> None:
    registry = registry_of(tmp_path, await describe_process(write_raw(tmp_path / "code", "pass")))
    write_raw(tmp_path / "code", "pass", **said)
    with pytest.raises(PluginError) as refused:
        await registry.plugin(registry.handle("raw"))
    assert field in str(refused.value)
    assert registry.handle("raw").state is PluginState.AUTO_DISABLED
    await registry.aclose()


async def test_more_events_than_were_asked_for_end_the_stream(tmp_path: Path) -> None:
    flood = """
        events = [{"type": "text_delta", "text": "x"}] * 300
        send(method="provider/events", params={"id": message["id"], "events": events})
        time.sleep(60)
    """
    launch = write_raw(tmp_path, flood, hooks=[], providers=[{"name": "flood"}])
    async with started(launch, tmp_path) as plugin:
        with pytest.raises(ProviderError, match="more events than"):
            _ = [event async for event in plugin.providers()[0].stream(request(), None)]


FLOODS = {
    "an event after the other that nobody reads": (
        """
        piece = {"type": "text_delta", "text": "x" * 3_000_000}
        for _ in range(1000):
            send(method="provider/events", params={"id": message["id"], "events": [piece]})
        """,
        "after the 8,388,608 bytes",
    ),
    "one huge event": (
        """
        piece = {"type": "opaque_received", "opaque": "x" * 5_000_000}
        send(method="provider/events", params={"id": message["id"], "events": [piece]})
        time.sleep(60)
        """,
        "more than 4,194,304 bytes",
    ),
    "one event of many values": (
        """
        piece = {"type": "opaque_received", "opaque": [[]] * 1000}
        send(method="provider/events", params={"id": message["id"], "events": [piece]})
        time.sleep(60)
        """,
        "more than 256 values",
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_events_that_would_fill_the_memory_end_the_stream(tmp_path: Path, flood: str) -> None:
    then, reason = FLOODS[flood]
    then = (
        f"send(method='provider/events', params={{'id': message['id'], 'events': [FIRST]}})\n{dedent(then)}"
    )
    then = then.replace("FIRST", "{'type': 'text_delta', 'text': 'first'}")
    launch = write_raw(tmp_path, then, hooks=[], providers=[{"name": "flood"}])
    async with started(launch, tmp_path) as plugin:
        before = _memory()
        stream = plugin.providers()[0].stream(request(), None)
        assert await anext(stream) == TextDelta("first")
        await until(lambda: plugin._peer is None or plugin._peer.gone.done(), 20.0)
        assert _memory() - before < 60 * 2**20
        with pytest.raises(ProviderError, match=reason):
            _ = [event async for event in stream]


LONG = """
from jackfield import *

class Long(Provider):
    name = "long"
    known_models = (Model("m"),)
    async def stream(self, request, credential):
        for _ in range(int(request.messages[-1].text)):
            yield TextDelta("x" * 100_000)
        yield Finished()

class LongPlugin(Plugin):
    name = "long"
    version = "1.0"
    def providers(self):
        return [Long()]
"""


async def test_an_answer_without_an_end_is_stopped_and_costs_only_the_call(tmp_path: Path) -> None:
    async with started(write_plugin(tmp_path, LONG), tmp_path) as plugin:
        peer = await plugin.ready_peer()
        with pytest.raises(ProviderError, match="The answer of long has no end") as failed:
            _ = [event async for event in plugin.providers()[0].stream(request("1000000"), None)]
        assert failed.value.kind is ErrorKind.TOO_LARGE
        assert len([event async for event in plugin.providers()[0].stream(request("2"), None)]) == 3
        assert await plugin.ready_peer() is peer, "its process was ended though it does not hang"


async def test_a_long_answer_waits_for_its_reader_and_arrives_whole(tmp_path: Path) -> None:
    """More than the app would hold unread, in fewer events than it would."""
    async with started(write_plugin(tmp_path, LONG), tmp_path) as plugin:
        size = 0
        async for event in plugin.providers()[0].stream(request("200"), None):
            size += len(getattr(event, "text", ""))
            await asyncio.sleep(0.001)
        assert size == 20_000_000


async def test_a_process_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    launch = write_raw(tmp_path, "time.sleep(600)", QUICK)
    async with started(launch, tmp_path) as plugin:
        big = request("x" * 5_000_000)
        failures = await asyncio.gather(
            plugin.on_request(big), plugin.on_request(big), return_exceptions=True
        )
        assert all("took more than" in str(failure) for failure in failures)


async def test_a_message_that_is_too_long_is_not_sent(tmp_path: Path) -> None:
    async with started(write_hook(tmp_path, "pass"), tmp_path) as plugin:
        with pytest.raises(PluginError, match="too long"):
            await plugin.on_request(request("x" * 34_000_000))
        await plugin.on_request(request())


async def test_one_that_never_exits_is_killed(tmp_path: Path) -> None:
    code = """
        import atexit, threading, time
        from jackfield import *
        class Stays(Plugin):
            name = "stays"
            version = "1.0"
            def on_init(self, ctx):
                threading.Thread(target=time.sleep, args=(600,)).start()
                atexit.register(time.sleep, 600)
                ctx.on_close(lambda: time.sleep(600))
    """
    before = children()
    async with started(write_plugin(tmp_path, code, QUICK), tmp_path):
        assert len(children() - before) == 2
        begun = time.monotonic()
    assert children() == before
    assert time.monotonic() - begun < 60, "its end was waited for"


async def test_switching_on_and_off_leaves_nothing_behind(tmp_path: Path) -> None:
    quiet = {thread.name for thread in threading.enumerate() if thread.name != "plugin process"}
    launch = write_raw(
        tmp_path / "code", "send(id=message['id'], result=None)", commands=[{"name": "go", "summary": ""}]
    )
    registry = registry_of(tmp_path, await describe_process(launch))

    async def once() -> None:
        await registry.enable("raw")
        await registry.command("go")
        await registry.disable("raw")

    await once()

    def state() -> tuple[int, int, int, set[int]]:
        files = len(list(Path("/proc/self/fd").iterdir()))
        return len(asyncio.all_tasks()), threading.active_count(), files, children()

    await until(lambda: {thread.name for thread in threading.enumerate()} <= quiet)
    before = state()
    for _ in range(100):
        await once()
    await until(lambda: state() == before)
    await registry.aclose()
