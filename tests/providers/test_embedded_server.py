"""The embedded model's process, real but with a made-up runtime, and every way in which it can end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from jackfield import ErrorKind, ProviderError
from providers.embedded import server as server_module
from providers.embedded.server import ChildConfig, EmbeddedServer, child_environment
from tests.processes import is_running
from tests.providers.wheels import FAKE_RUNTIME

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> ChildConfig:
    """A configuration whose runtime serves nothing but says that it does."""
    runtime = tmp_path / "runtime"
    (runtime / "xllamacpp").mkdir(parents=True)
    (runtime / "xllamacpp" / "__init__.py").write_text(FAKE_RUNTIME)
    return ChildConfig.for_machine(runtime, tmp_path / "a.gguf", "made-up", 4096)


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    """The real child script; ended with the test."""
    started = EmbeddedServer()
    yield started
    await started.aclose()


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[[str], EmbeddedServer]:
    """A server whose child runs the given lines."""

    def make(lines: str) -> EmbeddedServer:
        script = tmp_path / "script.py"
        script.write_text("import json, os, signal, sys\n" + textwrap.dedent(lines))
        return EmbeddedServer(script)

    return make


async def ends(pid: int) -> bool:
    """Whether a process ends within five seconds."""
    for _ in range(250):
        if not is_running(pid):
            return True
        await asyncio.sleep(0.02)
    return False


async def failing(server: EmbeddedServer, config: ChildConfig) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await server.ensure_running(config)
    assert server.endpoint is None
    assert server.pid is None
    assert caught.value.hint
    return caught.value


async def test_it_is_started_once_and_ended_with_the_app(server: EmbeddedServer, config: ChildConfig) -> None:
    assert server.endpoint is None, "it was started before anyone asked"
    first, second = await asyncio.gather(server.ensure_running(config), server.ensure_running(config))
    assert first is second
    assert first.address == "http://127.0.0.1:9/4096"
    assert len(first.api_key) > 30
    pid = server.pid
    assert pid is not None
    await server.aclose()
    assert not is_running(pid)


async def test_it_is_started_again_after_it_was_killed(server: EmbeddedServer, config: ChildConfig) -> None:
    before = await server.ensure_running(config)
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    error = await server.explain_end()
    assert error is not None
    assert error.kind is ErrorKind.CONNECTION
    assert error.title == "The embedded model stopped unexpectedly"
    assert "memory" in error.detail
    assert "start it again" in error.hint
    after = await server.ensure_running(config)
    assert server.pid != pid
    assert after.api_key != before.api_key, "the key of a process that is gone was used again"


async def test_while_it_runs_there_is_no_end_to_explain(server: EmbeddedServer, config: ChildConfig) -> None:
    assert await server.explain_end() is None
    await server.ensure_running(config)
    assert await server.explain_end() is None


async def test_a_closed_server_starts_nothing(server: EmbeddedServer, config: ChildConfig) -> None:
    await server.aclose()
    await failing_quietly(server, config)


SLOW = """
json.loads(sys.stdin.buffer.readline())
while not os.path.exists({go!r}):
    pass
print(json.dumps({{"address": "http://127.0.0.1:9"}}), flush=True)
sys.stdin.buffer.read()
"""


async def test_one_that_is_closed_while_it_starts_does_not_run_afterwards(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    server = scripted(SLOW.format(go=str(go)))
    starting = asyncio.ensure_future(server.ensure_running(config))
    async with asyncio.timeout(20):
        while server.pid is None:  # noqa: ASYNC110 - it has no event for "has a child"
            await asyncio.sleep(0.01)
    assert server.endpoint is None, "nothing listens yet"
    closing = asyncio.ensure_future(server.aclose())
    await asyncio.sleep(0)
    closing.cancel()  # as by the app, which waits for a while only
    go.touch()
    with pytest.raises(ProviderError, match="switched off"):
        await starting
    assert server.pid is None


async def failing_quietly(server: EmbeddedServer, config: ChildConfig) -> None:
    with pytest.raises(ProviderError) as caught:
        await server.ensure_running(config)
    assert caught.value.kind is ErrorKind.CANCELLED


APP = """
import asyncio, sys
from pathlib import Path
from providers.embedded.server import ChildConfig, EmbeddedServer

async def main():
    server = EmbeddedServer()
    await server.ensure_running(ChildConfig.for_machine(Path(sys.argv[1]), Path("a.gguf"), "made-up", 4096))
    print(server.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_it_does_not_outlive_an_app_that_is_killed(config: ChildConfig) -> None:
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APP, config.runtime, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert app.stdout is not None
    pid = int(await asyncio.wait_for(app.stdout.readline(), 30))
    assert is_running(pid)
    app.kill()
    await app.wait()
    assert await ends(pid), "the model's process is left without its app"


async def test_neither_arguments_nor_environment_hold_the_key(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    server = scripted(
        """
        config = json.loads(sys.stdin.readline())
        seen = {"argv": sys.orig_argv, "environ": dict(os.environ), "isolated": sys.flags.isolated}
        print(json.dumps({"address": json.dumps(seen | {"key": config["api_key"]})}), flush=True)
        sys.stdin.read()
        """
    )
    endpoint = await server.ensure_running(config)
    seen = json.loads(endpoint.address)
    await server.aclose()
    assert seen["key"] == endpoint.api_key
    assert endpoint.api_key not in json.dumps([seen["argv"], seen["environ"]])
    assert seen["environ"]["OMP_WAIT_POLICY"] == "passive"
    assert "ACME_API_KEY" not in seen["environ"]
    assert "PYTHONPATH" not in seen["environ"]
    assert seen["isolated"] == 1


async def test_a_missing_library_is_named_with_the_way_to_get_it(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig
) -> None:
    server = scripted(
        """
        raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory")
        """
    )
    error = await failing(server, config)
    assert error.kind is ErrorKind.UNAVAILABLE
    assert "libgomp.so.1" in error.title
    assert "Install" in error.hint


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
@pytest.mark.parametrize(
    ("name", "words"),
    [("SIGILL", "lacks an instruction"), ("SIGKILL", "memory"), ("SIGSEGV", "SIGSEGV")],
)
async def test_a_signal_is_explained(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig, name: str, words: str
) -> None:
    error = await failing(scripted(f"os.kill(os.getpid(), signal.{name})"), config)
    assert error.kind is ErrorKind.UNAVAILABLE
    assert words in error.detail


async def test_a_failed_start_shows_the_last_words_harmlessly(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig
) -> None:
    lines = """
    for number in range(10000):
        print(f"line {number}", file=sys.stderr)
    sys.exit("\\x1b[31mfailed to load the model\\x1b]52;c;eA==\\x07")
    """
    error = await failing(scripted(lines), config)
    assert error.kind is ErrorKind.UNAVAILABLE
    assert "failed to load the model" in error.detail
    assert "line 9999" in error.detail
    assert "line 9000" not in error.detail
    assert "\x1b" not in error.detail


async def test_an_answer_that_is_no_address_is_refused(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig
) -> None:
    error = await failing(scripted("print('hello', flush=True); sys.stdin.read()"), config)
    assert error.kind is ErrorKind.UNAVAILABLE


async def test_a_child_that_never_answers_is_ended(
    scripted: Callable[[str], EmbeddedServer],
    config: ChildConfig,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(server_module, "_START_LIMIT_S", 5.0)
    pid_file = tmp_path / "pid"
    server = scripted(
        f"""
        open({str(pid_file)!r}, "w").write(str(os.getpid()))
        while True:
            signal.pause()
        """
    )
    error = await failing(server, config)
    assert error.kind is ErrorKind.TIMEOUT
    assert not is_running(int(pid_file.read_text()))


async def test_a_start_that_is_cancelled_leaves_no_process(
    scripted: Callable[[str], EmbeddedServer], config: ChildConfig, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    server = scripted(
        f"""
        with open({str(pid_file)!r} + "_", "w") as file:
            file.write(str(os.getpid()))
        os.rename({str(pid_file)!r} + "_", {str(pid_file)!r})
        while True:
            signal.pause()
        """
    )
    starting = asyncio.ensure_future(server.ensure_running(config))
    async with asyncio.timeout(10):
        while not pid_file.exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(starting, 10)
    assert not is_running(int(pid_file.read_text()))


def test_threads_that_wait_sleep() -> None:
    environment = child_environment({"PATH": "/bin", "HTTPS_PROXY": "x", "OMP_WAIT_POLICY": "active"})
    assert environment == {"PATH": "/bin", "OMP_WAIT_POLICY": "passive"}


@pytest.mark.parametrize(("cores", "writing", "reading"), [(1, 1, 1), (2, 1, 2), (4, 3, 4), (64, 8, 8)])
def test_one_core_is_left_to_the_rest_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, cores: int, writing: int, reading: int
) -> None:
    monkeypatch.setattr(server_module, "_cores", lambda: cores)
    config = ChildConfig.for_machine(Path("r"), Path("m"), "made-up", 4096)
    assert (config.n_threads, config.n_threads_batch) == (writing, reading)
