"""Fetching dependencies, with uv and with pip, from wheels that the test made."""

from __future__ import annotations

import asyncio
import os
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


@pytest.mark.parametrize("pip", [False, True], ids=["uv", "pip"])
async def test_nothing_is_compiled_since_each_machine_compiles_to_other_bytes(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    monkeypatch.setenv("UV_COMPILE_BYTECODE", "1")
    monkeypatch.setenv("PIP_COMPILE", "1")
    line = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent, pip=pip)
    await fetch(line, folder)
    assert not [name for _, _, names in os.walk(folder) for name in names if name.endswith(".pyc")]


def users_of(file: Path, folder: Path) -> list[Path]:
    """The names below a folder that stand for the very same file."""
    paths = [Path(root, name) for root, _, names in os.walk(folder) for name in names]
    return [path for path in paths if path.samefile(file)]


@pytest.mark.parametrize("own", [False, True])
async def test_no_file_is_shared_with_other_programs(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    line = site.dependency("one", "1.0", {"one.py": b"x = 1\n"})
    use_wheelhouse(monkeypatch, site, folder.parent)
    cache = folder.with_name("own-cache") if own else None
    await fetch_dependencies(line, folder, folder.with_name("work"), cache=cache)
    assert users_of(folder / "one.py", folder.with_name("uv-cache")) == []


async def test_what_is_not_there_is_said_with_the_words_of_the_tool(
    folder: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_wheelhouse(monkeypatch, site, folder.parent)
    site.wheelhouse.mkdir(exist_ok=True)
    with pytest.raises(DependencyError, match="What the plugin depends on cannot be installed") as error:
        await fetch(f"nowhere==1.0 --hash=sha256:{'0' * 64}\n", folder)
    assert "nowhere" in error.value.detail


async def test_none_is_none(folder: Path) -> None:
    await fetch_dependencies(" \n", folder, folder, env={})
    assert not any(os.walk(folder).__next__()[1:])
