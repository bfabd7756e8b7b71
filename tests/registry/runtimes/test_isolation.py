"""What a plugin in a process of its own shares with the app and with other plugins: next to nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from jackfield import Credential, ProviderError
from registry.errors import PluginError
from registry.launch import Launch, Limits
from registry.runtimes.process import describe_process
from tests.processes import is_running, working_in
from tests.registry.plugins_for_tests import until
from tests.registry.runtimes.folders import (
    request,
    sent_by,
    started,
    with_limits,
    write_hook,
    write_plugin,
    write_raw,
)

ROOT = Path(__file__).parents[3]


async def answer_of(launch: Launch, folder: Path) -> str:
    """What the request hook of a plugin leaves as the system prompt."""
    async with started(launch, folder) as plugin:
        asked = request()
        await plugin.on_request(asked)
        assert asked.system is not None
        return asked.system


async def test_two_plugins_use_two_versions_of_one_library(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as both:
        tasks = []
        for version in ("1.0", "2.0"):
            folder = tmp_path / version
            package = folder / "library"
            package.mkdir(parents=True)
            (package / "__init__.py").write_text(f"VERSION = {version!r}\n", encoding="utf-8")
            launch = write_hook(folder, "import library\nrequest.system = library.VERSION")
            tasks.append(both.create_task(answer_of(launch, folder)))
    assert [task.result() for task in tasks] == ["1.0", "2.0"]


async def test_its_own_copy_of_a_library_wins_over_that_of_the_app(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("__version__ = 'its own'\n", encoding="utf-8")
    launch = write_hook(tmp_path, "import httpx\nrequest.system = httpx.__version__")
    assert await answer_of(launch, tmp_path) == "its own"


async def test_what_it_does_not_bring_is_not_found_in_the_app_by_accident(tmp_path: Path) -> None:
    body = """
        found = []
        for name in ("textual", "tomlkit", "keyring", "tui", "providers", "tests", "pydantic", "httpx"):
            try:
                __import__(name)
                found.append(name)
            except ModuleNotFoundError:
                pass
        request.system = " ".join(found)
    """
    assert await answer_of(write_hook(tmp_path, body), tmp_path) == "pydantic httpx"


async def test_it_cannot_stand_in_for_the_api_of_the_app(tmp_path: Path) -> None:
    for name in ("jackfield", "registry"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('mine')\n", encoding="utf-8")
    launch = write_hook(tmp_path, "import jackfield, registry\nrequest.system = jackfield.__version__")
    assert await answer_of(launch, tmp_path) != ""


async def test_its_environment_holds_what_it_declared_and_nothing_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret of the app")
    monkeypatch.setenv("ACME_REGION", "north")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("PYTHONSTARTUP", "/tmp/evil.py")
    launch = write_hook(tmp_path, "request.system = ' '.join(sorted(os.environ))")
    launch = Launch(None, launch.folder, launch.entry_point, ("ACME_REGION",), launch.limits)
    names = (await answer_of(launch, tmp_path)).split()
    assert {"PATH", "HOME", "LC_TIME", "https_proxy", "ACME_REGION"} <= set(names)
    assert not {"OPENAI_API_KEY", "PYTHONSTARTUP", "JACKFIELD_HOME", "PYTHONPATH"} & set(names)


async def test_no_secret_is_in_an_error_or_the_arguments_of_its_process(tmp_path: Path) -> None:
    then = """
        secret = message["params"]["credential"]["secrets"]["key"]
        sys.stderr.write("I was given " + secret + "\\n"); sys.stderr.flush()
        os._exit(1)
    """
    launch = write_raw(tmp_path, then, hooks=[], providers=[{"name": "leaky"}])
    async with started(launch, tmp_path) as plugin:
        credential = Credential(secrets={"key": SecretStr("sk-very-secret-42")})
        with pytest.raises(ProviderError) as failed:
            await plugin.providers()[0].models(credential)
    assert "I was given" in failed.value.detail
    assert "sk-very-secret-42" not in str(failed.value)


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(600)",
        "while True: pass",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\ntime.sleep(600)",
        "os.fork()\ntime.sleep(600)",
        "if os.fork() == 0: os.setsid()\ntime.sleep(600)",
        "os.setpgid(0, os.getppid())\ntime.sleep(600)",
    ],
)
def test_it_does_not_outlive_an_app_that_is_killed(tmp_path: Path, body: str) -> None:
    process = _start_app(tmp_path, body)
    try:
        asyncio.run(until(lambda: _pids(tmp_path), 20.0))
        plugins = _pids(tmp_path)
        assert all(is_running(plugin) for plugin in plugins)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    asyncio.run(until(lambda: not any(is_running(plugin) for plugin in plugins)))
    asyncio.run(until(lambda: not working_in(tmp_path)))


async def test_it_does_not_outlive_a_watch_that_it_ends(tmp_path: Path) -> None:
    body = """
        if os.fork() == 0: time.sleep(600)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    """
    async with started(write_hook(tmp_path, body), tmp_path) as plugin:
        with pytest.raises(PluginError, match="watches over it was ended"):
            await plugin.on_request(request())
        await until(lambda: not working_in(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of the end of its parent")
async def test_it_ends_with_its_watch_though_the_app_does_nothing(tmp_path: Path) -> None:
    app = _start_app(tmp_path, "time.sleep(600)")
    try:
        await until(lambda: len(_pids(tmp_path)) == 2, 20.0)
        plugin, watch = _pids(tmp_path)
        app.send_signal(signal.SIGSTOP)
        os.kill(watch, signal.SIGKILL)
        await until(lambda: not is_running(plugin))
    finally:
        app.kill()
        app.wait()


def _start_app(tmp_path: Path, body: str) -> subprocess.Popen[bytes]:
    """An app whose plugin writes its number and that of its watch into a file, and does this."""
    write_hook(
        tmp_path, f"with open('pids', 'a') as file: print(os.getpid(), os.getppid(), file=file)\n{body}"
    )
    app = f"""
import asyncio
from pathlib import Path
from tests.registry.runtimes.folders import *
async def main():
    launch = Launch(None, Path({str(tmp_path)!r}), "written:Hooked", limits=Limits(hook_s=600.0))
    async with started(launch, Path({str(tmp_path)!r})) as plugin:
        await plugin.on_request(request())
asyncio.run(main())
"""
    return subprocess.Popen([sys.executable, "-c", app], cwd=ROOT)


def _pids(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(number) for number in file.read_text().split()] if file.exists() else []


async def test_limits_are_set_before_its_code_runs(tmp_path: Path) -> None:
    code = """
        import json, os, resource
        names = ["RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_CORE"]
        limits = {name: resource.getrlimit(getattr(resource, name))[0] for name in names}
        with open("limits", "w") as file: json.dump(limits, file)
        from jackfield import *
        class Limited(Plugin):
            name = "limited"
            version = "1.0"
    """
    await describe_process(
        with_limits(write_plugin(tmp_path, code), memory_bytes=2**30, cpu_s=77, open_files=99)
    )
    limits = sent_by(Launch(None, tmp_path), "limits")
    assert limits == {"RLIMIT_AS": 2**30, "RLIMIT_CPU": 77, "RLIMIT_NOFILE": 99, "RLIMIT_CORE": 0}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "either a command or an entry point"),
        ({"command": ["x"], "entry_point": "a:B"}, "either a command or an entry point"),
        ({"command": ["x"], "limits": {"nope": 1}}, "no limit"),
        ({"command": ["x"], "limits": {"cpu_s": -1}}, "above 0"),
        ({"command": ["x"], "limits": {"cpu_s": True}}, "above 0"),
        ({"command": "x"}, "no list of texts"),
    ],
)
def test_a_launch_that_is_none_is_refused(data: dict[str, object], problem: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError), match=problem):
        Launch.from_json(data, folder=tmp_path)


def test_a_launch_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    for launch in (
        Launch(("node", "plugin.mjs"), tmp_path, "", ("ACME_KEY",), Limits(cpu_s=5)),
        Launch(None, tmp_path, "acme:Acme"),
    ):
        assert Launch.from_json(launch.to_json()) == launch


BOMB = """
import asyncio, sys
from pathlib import Path
from tests.registry.runtimes.folders import *
async def main(folder):
    launch = Launch(None, folder, "written:Hooked", limits=Limits(hook_s=20.0, processes=20))
    async with started(launch, folder) as plugin:
        await plugin.on_request(request())
asyncio.run(main(Path(sys.argv[1])))
"""
AS_NOBODY = ["setpriv", "--reuid=65534", "--clear-groups"]
AS_NOBODY += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
"""For root, which no limit holds: become another user, who may read this interpreter all the same."""


@pytest.mark.skipif(sys.platform != "linux", reason="only there a limit counts just what a plugin adds")
def test_a_bomb_of_processes_stops_at_its_limit_and_is_cleared_away(tmp_path: Path) -> None:
    write_hook(tmp_path, "while True:\n    if os.fork() == 0: time.sleep(600)")
    command = [*(AS_NOBODY if os.getuid() == 0 else []), sys.executable, "-c", BOMB, str(tmp_path)]
    app = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "Resource temporarily unavailable" in app.stderr
    asyncio.run(until(lambda: not working_in(tmp_path)))
