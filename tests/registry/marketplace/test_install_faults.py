"""Faults on the way: what was installed goes on working, and nothing of the attempt stays."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from registry import atomic
from registry.errors import JackfieldError
from registry.manifest import Manifest
from registry.marketplace import archive
from registry.marketplace.install import Step
from registry.marketplace.lock import lock_file, read_lock
from registry.marketplace.manifests import stored_manifest
from registry.marketplace.store import Store
from registry.marketplace.upkeep import verify
from registry.runtimes.process import describe_process
from tests.registry.marketplace.machines import Machine, copy_of, machine, use_wheelhouse
from tests.registry.marketplace.site import FakePlugin, Site, make_site

ROOT = Path(__file__).parents[3]
KILLED = "tests.registry.marketplace.killed_installer"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """`acme/shout` in two versions, of which the newer one has a dependency; and `acme/other`."""

    async def make() -> Site:
        folder = tmp_path_factory.mktemp("shop")
        site = await make_site(folder, FakePlugin(versions=("1.0.0",)), FakePlugin("acme/other"))
        line = site.dependency("left-pad", "1.0", {"left_pad.py": b"x = 1\n"})
        site.put(FakePlugin(versions=("1.1.0",), requirements=line))
        with pytest.MonkeyPatch.context() as environment:
            use_wheelhouse(environment, site, folder)
            await site.publish()
        return site

    return asyncio.run(make())


@pytest.fixture
def wheels(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_wheelhouse(monkeypatch, site, tmp_path)


async def works(here: Machine, version: str) -> bool:
    """Whether the code that is installed starts and is this version."""
    (plugin,) = here.installed().values()
    manifest = Manifest.from_json(stored_manifest(here.paths, plugin))
    assert manifest.launch is not None
    return (await describe_process(manifest.launch)).version == version == plugin.current.version


def artefact(site: Site, version: str) -> Path:
    (file,) = (site.out / "files").glob(f"*/acme_shout-{version}-*")
    return file


# -- what comes is not what was signed ----------------------------------------------------------------------


@pytest.mark.parametrize("change", ["another byte", "cut short", "more"])
async def test_a_file_that_is_not_the_signed_one_is_refused(tmp_path: Path, site: Site, change: str) -> None:
    shop = copy_of(site, tmp_path / "shop")
    here = await machine(tmp_path, shop)
    await here.install("1.0.0")
    file = artefact(shop, "1.1.0")
    data = file.read_bytes()
    file.write_bytes({"another byte": data[:-1] + b"x", "cut short": data[:-9], "more": data + b"x"}[change])
    message = await here.refused()
    assert "was refused" in message
    assert "A file is not the one that was signed" in message
    assert await works(here, "1.0.0")


@contextmanager
def failing_server(site: Site) -> Iterator[tuple[str, threading.Event]]:
    """A server that breaks the line in the middle of an artefact, while the event is set."""
    broken = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = site.out / self.path.lstrip("/")
            if not file.is_file():
                return self.send_error(404)
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            cut = broken.is_set() and "/files/" in self.path
            self.wfile.write(data[: len(data) // 2] if cut else data)
            return None

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", broken
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def dying_server(folder: Path) -> Iterator[tuple[str, list[int], list[str]]]:
    """A server that breaks the line in the middle of one answer and is gone after it.

    Gives its address, a list with the number of answers that still come whole, and what was asked for.
    """
    left = [1_000]
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=str(folder))

        def do_GET(self) -> None:
            asked.append(self.path)
            left[0] -= 1
            if left[0] < -1:
                self.close_connection = True  # no answer at all
            else:
                super().do_GET()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            data = source.read()
            outputfile.write(data if left[0] >= 0 else data[: len(data) // 2])

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", left, asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("wheels")
async def test_a_network_that_goes_at_any_step_leaves_what_there_is_and_the_next_attempt_works(
    tmp_path: Path, site: Site
) -> None:
    told: list[str] = []
    with dying_server(copy_of(site, tmp_path / "shop").out) as (url, left, asked):
        for whole in range(100):
            left[0] = 1_000
            here = await machine(tmp_path / str(whole), site, url)
            await here.install("1.0.0")
            shutil.rmtree(here.marketplace._cache)  # it forgot all but the root that it trusts
            asked.clear()
            left[0] = whole
            try:
                await here.marketplace.refresh()
                await here.install("1.1.0")
            except JackfieldError as error:
                told.append(str(error))
                assert await works(here, "1.0.0")
                assert here.rubbish() == []
                left[0] = 1_000
                await here.marketplace.refresh()
                assert (await here.install("1.1.0")).current.version == "1.1.0"
            else:
                break
    kinds = {Path(path).name.split(".")[-2] for path in asked}
    assert kinds >= {"root", "timestamp", "snapshot", "targets"}, "every step was there to fail"
    assert len(told) == len(asked) > 5, (told, asked)
    assert all("cannot be reached" in text for text in told)


@pytest.mark.usefixtures("wheels")
async def test_a_network_that_goes_in_the_middle_costs_only_the_attempt(tmp_path: Path, site: Site) -> None:
    with failing_server(site) as (url, broken):
        here = await machine(tmp_path, site, url)
        await here.install("1.0.0")
        broken.set()
        assert "cannot be reached" in await here.refused()
        assert await works(here, "1.0.0")
        broken.clear()
        assert (await here.install()).current.version == "1.1.0"


async def test_without_a_network_it_is_said_and_what_is_installed_works(tmp_path: Path, site: Site) -> None:
    with failing_server(site) as (url, _):
        here = await machine(tmp_path, site, url)
        await here.install("1.0.0")
        await here.plan("1.1.0")  # its details are in the cache from here on
    assert "official cannot be reached" in await here.refused("1.1.0")
    assert await works(here, "1.0.0")


# -- a disk that is full: writing is made to fail, as no disk of the tests can be filled ---------------------


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("wheels")
@pytest.mark.parametrize("where", ["download", "unpack", "seal", "name", "list"])
async def test_a_full_disk_costs_only_the_attempt(
    tmp_path: Path, site: Site, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await machine(tmp_path, site)
    await here.install("1.0.0")
    real = Path.open

    def open_full(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if path.suffix == ".whl" and "x" in mode:
            full()
        return real(path, mode, *args, **options)

    with monkeypatch.context() as disk:
        match where:
            case "download":
                disk.setattr(Path, "open", open_full)
            case "unpack":
                disk.setattr(archive, "_copy", full)
            case "seal":
                disk.setattr(Store, "seal", full)
            case "name":
                disk.setattr(Path, "rename", full)
            case "list":
                disk.setattr(atomic, "write_atomically", full)
        before = here.installed()
        here.steps.clear()
        with pytest.raises(JackfieldError) as error:
            await here.install()
    message = str(error.value)
    assert "No space left on device" in message
    assert "Make room on the disk" in message
    assert "done" not in {step.what for step in here.steps}
    assert here.installed() == before
    assert await works(here, "1.0.0")
    assert (await here.install()).current.version == "1.1.0"
    assert here.steps[-1] == Step("done")
    assert here.rubbish() == []


# -- kill -9 ------------------------------------------------------------------------------------------------

INSTALL, ATOMIC = "registry.marketplace.install", "registry.atomic"
OLD = {
    "when it begins": "step download",
    "after the download": "step unpack",
    "after unpacking": f"after {INSTALL} _unpack_plugin",
    "while dependencies come": "step dependencies",
    "after the dependencies": f"after {INSTALL} fetch_dependencies",
    "before the code is sealed": f"before {INSTALL} Store.seal",
    "after the code is sealed": "step store",
    "before it gets its name": f"before {INSTALL} Store.place",
    "after it got its name": f"after {INSTALL} Store.place",
    "before the list is written": f"before {ATOMIC} write_atomically",
    "while the list is written": f"before {ATOMIC} os.replace",
}
NEW = {
    "after the list was written": f"after {ATOMIC} write_atomically",
    "after the lock file was written": f"after {INSTALL} change_lock",
    "after sweeping": f"after {INSTALL} Store.sweep",
    "at the end": "step done",
}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_kill_9_at_any_step_leaves_the_old_version_or_the_new_one_and_then_no_rubbish(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wheelhouse(monkeypatch, site, tmp_path)
    model = await machine(tmp_path / "model", site)
    await model.install("1.0.0")
    await model.plan("1.1.0")
    points = {**OLD, **NEW}
    homes = {name: tmp_path / str(number) for number, name in enumerate(points)}
    for home in homes.values():
        shutil.copytree(tmp_path / "model", home)
    what = json.dumps([[str(homes[name]), point] for name, point in points.items()])
    done = await asyncio.to_thread(_run, [sys.executable, "-m", KILLED, what])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [signal.SIGKILL] * len(points), f"{list(points)}\n{done.stderr}"
    for name, home in homes.items():
        here = await machine_again(home, model)
        version = "1.0.0" if name in OLD else "1.1.0"
        (plugin,) = here.installed().values()
        assert plugin.current.version == version, f"killed {name}"
        assert await verify(here.installer) == [], f"killed {name}"
        await here.installer.tidy()
        assert here.rubbish() == [], f"killed {name}"
    for name in ("after it got its name", "while the list is written", "after the list was written"):
        here = await machine_again(homes[name], model)
        await here.install()
        assert await works(here, "1.1.0")
        assert here.rubbish() == []
        assert [row.version for row in read_lock(lock_file(here.paths))] == ["1.1.0"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


async def machine_again(home: Path, model: Machine) -> Machine:
    """The machine whose folders were copied there."""
    from registry.marketplace.repository import Marketplace
    from registry.paths import Paths

    paths = Paths(home / "config", home / "data", home / "cache")
    return Machine(paths, Marketplace(model.marketplace.source, paths), model.rules)


# -- two at once --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wheels")
async def test_two_may_install_the_same_plugin_at_once(tmp_path: Path, site: Site) -> None:
    here = await machine(tmp_path, site)
    first, second = await asyncio.gather(here.install(), here.install())
    assert first.current.tree == second.current.tree
    assert here.rubbish() == []
    assert await works(here, "1.1.0")


async def test_no_installer_sweeps_away_what_another_is_about_to_refer_to(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await machine(tmp_path, site)
    plans = [await here.plan("1.0.0"), await here.plan(plugin_id="acme/other")]
    sealed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(step: Step) -> None:
        if step.what == "store":
            loop.call_soon_threadsafe(sealed.set)

    slow = asyncio.create_task(here.installer.install(plans[0], here.confirm, note))
    await sealed.wait()
    await here.installer.install(plans[1], here.confirm)
    await slow
    assert sorted(here.installed()) == ["acme/other", "acme/shout"]
    assert await verify(here.installer) == []
    assert {row.id for row in read_lock(lock_file(here.paths))} == {"acme/other", "acme/shout"}


async def test_two_processes_may_install_different_plugins_at_once(tmp_path: Path, site: Site) -> None:
    here = await machine(tmp_path, site)
    script = (
        "import asyncio, sys; from tests.registry.marketplace.killed_installer import *; "
        "asyncio.run(install_and_remove(Path(sys.argv[1]), sys.argv[2], 5))"
    )
    both = [
        await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", script, str(tmp_path), name],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=asyncio.subprocess.PIPE,
        )
        for name in ("acme/shout", "acme/other")
    ]
    async with asyncio.timeout(60):
        said = await asyncio.gather(*(process.communicate() for process in both))
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(here.installed()) == ["acme/other", "acme/shout"]
    assert await verify(here.installer) == []
    assert here.rubbish() == []


# -- stopping -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("wheels")
@pytest.mark.parametrize("at", ["download", "unpack", "dependencies"])
async def test_an_installation_that_is_stopped_leaves_nothing(tmp_path: Path, site: Site, at: str) -> None:
    here = await machine(tmp_path, site)
    plan = await here.plan()
    loop = asyncio.get_running_loop()

    def stop(step: Step) -> None:
        if step.what == at:
            loop.call_soon_threadsafe(task.cancel)

    task = asyncio.create_task(here.installer.install(plan, here.confirm, stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert here.installed() == {}
    assert here.rubbish() == []
