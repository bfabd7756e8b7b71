"""Fetching dependencies, with uv and with pip, from wheels that the test made."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from registry.marketplace.dependencies import DependencyError, fetch_dependencies, tool
from tests.registry.marketplace.machines import use_wheelhouse
from tests.registry.marketplace.site import Site, make_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return asyncio.run(make_site(tmp_path_factory.mktemp("shop")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


async def fetch(requirements: str, folder: Path) -> None:
    await fetch_dependencies(requirements, folder, folder.with_name("work"), env=os.environ)


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_wheels_come_beside_what_is_there(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    lines = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    lines += site.dependency("two", "2.0", {"two/__init__.py": b"x = 2\n", "late.pth": b"import os\n"})
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    assert ("uv" in tool()[0]) is not pip
    (folder / "mine.py").write_text("x = 0\n")
    await fetch(lines, folder)
    assert all((folder / name).exists() for name in ("mine.py", "one.py", "two"))


async def test_the_stores_files_are_no_links_into_a_cache(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent)
    await fetch(line, folder)
    assert (folder / "one.py").stat().st_nlink == 1
    assert stat.S_ISREG((folder / "one.py").lstat().st_mode)


async def test_what_is_not_there_is_said_with_the_words_of_the_tool(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wheelhouse(monkeypatch, site, folder.parent)
    with pytest.raises(DependencyError, match="What the plugin depends on cannot be installed") as error:
        await fetch(f"nowhere==1.0 --hash=sha256:{'0' * 64}\n", folder)
    assert "nowhere" in error.value.detail


async def test_none_is_none(folder: Path) -> None:
    await fetch_dependencies(" \n", folder, folder, env={})
    assert not any(os.walk(folder).__next__()[1:])
