"""The store: a name in it stands for the whole content, and for nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.marketplace.fingerprint import fingerprint
from registry.marketplace.store import INCOMING, Store, remove_tree
from registry.paths import Paths


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache"))
    yield store
    if store.folder.exists():
        remove_tree(store.folder)


def fill(folder: Path, text: str = "print(1)") -> Path:
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "code.py").write_text(text)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    return folder


def keep(store: Store, folder: Path) -> str:
    """Take a folder under the hash of its content, as an installation does in two steps; gives the hash."""
    tree = store.seal(folder)
    store.place(folder, tree)
    return tree


def test_the_fingerprint_follows_content_names_and_the_right_to_run(tmp_path: Path) -> None:
    first = fingerprint(fill(tmp_path / "a"))
    assert fingerprint(fill(tmp_path / "b")) == first
    assert fingerprint(fill(tmp_path / "c", "print(2)")) != first
    other = fill(tmp_path / "d")
    (other / "run").rename(other / "ran")
    assert fingerprint(other) != first
    if os.name == "posix":
        (tmp_path / "b" / "run").chmod(0o644)
        assert fingerprint(tmp_path / "b") != first


def test_parts_cannot_be_moved_between_name_and_content(tmp_path: Path) -> None:
    for name, content in (("ab", "c"), ("a", "bc")):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(content)
    assert fingerprint(tmp_path / "ab") != fingerprint(tmp_path / "a")


def test_a_link_has_no_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        fingerprint(tmp_path)


def test_what_is_kept_is_read_only_and_named_by_its_content(store: Store) -> None:
    tree = keep(store, fill(store.begin() / "x").parent)
    assert store.trees() == [tree]
    assert store.has(tree)
    assert store.is_sound(tree)
    assert all(not path.stat().st_mode & 0o222 for path in [store.path(tree), *store.path(tree).rglob("*")])
    assert list((store.folder / INCOMING).iterdir()) == []


def test_the_same_content_is_kept_once(store: Store) -> None:
    assert keep(store, fill(store.begin() / "x").parent) == keep(store, fill(store.begin() / "x").parent)
    assert len(store.trees()) == 1
    assert list((store.folder / INCOMING).iterdir()) == []


def test_damage_is_noticed(store: Store) -> None:
    tree = keep(store, fill(store.begin() / "x").parent)
    code = store.path(tree) / "x" / "package" / "code.py"
    code.chmod(0o600)
    code.write_text("print('changed')")
    assert not store.is_sound(tree)
    assert not store.is_sound("0" * 64)


def test_only_hashes_name_content(store: Store) -> None:
    for name in ("../../etc", "", "A" * 64, "0" * 63):
        with pytest.raises(ValueError, match="no hash"):
            store.path(name)


def test_sweeping_keeps_what_is_wanted(store: Store) -> None:
    wanted = keep(store, fill(store.begin() / "x", "1").parent)
    unwanted = keep(store, fill(store.begin() / "x", "2").parent)
    underway = fill(store.begin() / "x", "3").parent
    assert store.sweep({wanted}) == [unwanted]
    assert store.trees() == [wanted]
    assert underway.is_dir()
    assert store.sweep({wanted}, now=underway.stat().st_mtime + 2 * 24 * 3600) == []
    assert not underway.exists()


def test_what_a_killed_process_left_is_swept(store: Store, tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from registry.marketplace.store import Store
from registry.paths import Paths
root = Path(sys.argv[1])
folder = Store(Paths(root / "config", root / "data", root / "cache")).begin()
(folder / "half").write_text("half")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(list((store.folder / INCOMING).iterdir())) == 1
    store.sweep(())
    assert list((store.folder / INCOMING).iterdir()) == []


def test_damaged_content_makes_room_for_the_sound_one(store: Store) -> None:
    tree = keep(store, fill(store.begin()))
    code = store.path(tree) / "package" / "code.py"
    code.chmod(0o600)
    code.write_text("changed")
    assert not store.is_sound(tree)
    assert keep(store, fill(store.begin())) == tree
    assert store.is_sound(tree)
    assert list((store.folder / INCOMING).iterdir()) == []


def test_where_files_are_synced_one_by_one_the_content_is_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: None)
    assert store.is_sound(keep(store, fill(store.begin())))
