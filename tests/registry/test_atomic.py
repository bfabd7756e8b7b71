"""A file is written whole or not at all, by one writer at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from registry.atomic import locked, write_atomically
from registry.errors import JackfieldError

posix_only = pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_atomically(file, b"old")
    write_atomically(file, b"new\r\n\x00")
    assert file.read_bytes() == b"new\r\n\x00"
    assert names_in(tmp_path) == {"file"}


@posix_only
def test_missing_folders_are_made_for_the_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "made" / "file"
    write_atomically(file, b"x")
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "file", b"x", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@posix_only
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path, exists: bool) -> None:
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    if exists:
        (dotfiles / "file").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(dotfiles / "file")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert (dotfiles / "file").read_bytes() == b"new"
    assert names_in(dotfiles) == {"file"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_content_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "file"
    file.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert names_in(tmp_path) == {"file"}


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):  # noqa: PT011  # each platform has its own
        write_atomically(tmp_path / "file", b"new")
    assert names_in(tmp_path) == {"file"}


def test_a_second_writer_is_told_that_another_one_writes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with (
        locked(file, 1),
        pytest.raises(JackfieldError, match="Another Jackfield is writing"),
        locked(file, 0.05),
    ):
        pytest.fail("both hold the lock")


def test_the_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(ZeroDivisionError), locked(file, 1):
        _ = 1 / 0
    with locked(file, 0.05):
        assert not file.exists()


def test_a_waiting_thread_gets_the_lock_when_it_is_released(tmp_path: Path) -> None:
    file = tmp_path / "file"
    got = threading.Event()

    def wait_for_lock() -> None:
        with locked(file, 20):
            got.set()

    with locked(file, 1):
        thread = threading.Thread(target=wait_for_lock)
        thread.start()
        assert not got.is_set()
    thread.join(20)
    assert got.is_set()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    file = tmp_path / "file"
    code = (
        "import sys, pathlib; from registry.atomic import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 5):\n    print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(JackfieldError), locked(file, 0.05):
            pytest.fail("both hold the lock")
        child.kill()
        child.wait(20)
        with locked(file, 5):
            assert not file.exists()
