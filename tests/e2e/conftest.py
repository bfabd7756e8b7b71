"""Homes for the tests in real terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.homes import Home, new_home
from tests.providers.conftest import model_folder as model_folder


@pytest.fixture
def home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the plugins of the tests, none of them on."""
    return new_home(tmp_path / "home", tmp_path_factory)


@pytest.fixture
def hostile_home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same with plugins that are hostile in every word."""
    return new_home(tmp_path / "hostile", tmp_path_factory, tone="hostile")


@pytest.fixture
def model_home(home: Home, model_folder: Path) -> Home:
    """A home where the embedded model has been fetched before."""
    plugins = home.folder / "data" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "local").symlink_to(model_folder, target_is_directory=True)
    return home
