"""The app's folders are made for the user alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.paths import make_private_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """New files are for everybody, unless somebody says otherwise."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_looks_into_a_new_folder_or_those_that_were_made_for_it(tmp_path: Path) -> None:
    made = make_private_folder(tmp_path / "home" / "data" / "plugins")
    assert made == tmp_path / "home" / "data" / "plugins"
    assert [mode(path) for path in (made, *made.parents[:2])] == [0o700] * 3


def test_a_folder_that_was_there_stays_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / "shared"
    there.mkdir(mode=0o755)
    made = make_private_folder(there / "new")
    assert make_private_folder(there) == there
    assert (mode(there), mode(made)) == (0o755, 0o700)


def test_what_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "file" / "data")
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")
