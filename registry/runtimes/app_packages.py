"""What a Python plugin in a process of its own may import of the app, and in which order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

APP_PACKAGES: Final = frozenset(
    {
        *("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"),
        *("httpx", "httpcore", "h11", "anyio", "sniffio", "idna", "certifi"),
    }
)
"""What the public API needs: pydantic for auth methods and credentials, httpx for `ctx.http_client`."""


class AppPackages:
    """Finds `APP_PACKAGES` among the app's own, for those that a plugin did not bring itself.

    It stands last among the finders, so a plugin's own copy, of whatever version, always wins; and nothing
    else that happens to be installed beside the app can be imported by accident.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder` has it; submodules are found by their package's own path."""
        if path is not None or name not in APP_PACKAGES:
            return None
        return PathFinder.find_spec(name, self._path, target)


def use_path(plugin: str, app: str, app_path: Sequence[str]) -> None:
    """Have imports find the standard library, then the plugin's folder, then `APP_PACKAGES` of the app.

    `jackfield` and `registry` are the app's and loaded before, so a plugin cannot stand in for them.

    Args:
        plugin: the folder with the plugin and its dependencies.
        app: the folder that this program was imported from; it is taken off the path.
        app_path: where the app's own packages are.
    """
    import jackfield  # noqa: F401 - while the app's folder is still on the path

    sys.path[:] = [*(folder for folder in sys.path if folder != app), plugin]
    sys.meta_path.append(AppPackages(app_path))
