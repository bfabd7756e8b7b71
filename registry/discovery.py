"""Finds plugins by their entry points, and keeps their manifests so that a start need not import them.

The cache is valid as long as nothing was installed or removed (the folders of `sys.path` are unchanged) and
no source file that a manifest was made from was edited.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jackfield import __version__
from registry.describing import Candidate, describe_all
from registry.manifest import Manifest
from registry.paths import Paths, make_private_folder

GROUP = "jackfield.plugins"
"""The entry-point group of built-in and third-party plugins alike."""

BUILTIN_PUBLISHER = "Jackfield"
_FORMAT = 2


def discover(paths: Paths) -> list[dict[str, Any]]:
    """The manifests of all installed plugins, as JSON data, from the cache when it is still true.

    A stale or broken cache is made anew without a word. May take a second then: each plugin is imported, in a
    process of its own.
    """
    folders = _folder_times(sys.path)
    cached = _read_cache(paths, folders)
    if cached is not None:
        return cached
    described = describe_all(find_candidates())
    manifests = [item.manifest.to_json() for item in described]
    sources = [_file_times(item.sources) for item in described]
    plugins = [
        {"manifest": manifest, "sources": files} for manifest, files in zip(manifests, sources, strict=True)
    ]
    _write_cache(paths, {"format": _FORMAT, "app": __version__, "folders": folders, "plugins": plugins})
    return manifests


def describe_again(manifest: Manifest) -> Manifest:
    """A fresh manifest of one plugin, for example after its code was edited."""
    candidate = Candidate(manifest.name, manifest.entry_point, manifest.publisher)
    return describe_all([candidate])[0].manifest


def find_candidates() -> list[Candidate]:
    """The entry points of the group, sorted by name; nothing is imported."""
    from importlib.metadata import distributions  # 60 ms that a warm cache saves

    found: dict[tuple[str, str], Candidate] = {}
    for distribution in distributions():
        for entry in distribution.entry_points:
            if entry.group == GROUP:
                publisher = _publisher(distribution.metadata)
                found.setdefault((entry.name, entry.value), Candidate(entry.name, entry.value, publisher))
    return [found[key] for key in sorted(found)]


def _publisher(metadata: Any) -> str:
    if metadata["Name"] == "jackfield":
        return BUILTIN_PUBLISHER
    return str(metadata["Author"] or metadata["Author-email"] or metadata["Name"] or "")


def _folder_times(folders: Iterable[str]) -> list[list[object]]:
    """Each folder with the time of its last change, which installing and removing packages moves."""
    times: list[list[object]] = []
    for folder in folders:
        try:
            times.append([folder, os.stat(folder or ".").st_mtime_ns])  # noqa: PTH116 - half the cost of Path
        except OSError:
            times.append([folder, None])
    return times


def _file_times(files: Sequence[str]) -> list[list[object]]:
    times: list[list[object]] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - half the cost of Path, a thousand times
            times.append([file, status.st_mtime_ns, status.st_size])
        except OSError:
            times.append([file, None, None])
    return times


def _read_cache(paths: Paths, folders: list[list[object]]) -> list[dict[str, Any]] | None:
    try:
        cache = json.loads(paths.manifest_cache.read_bytes())
        if (cache["format"], cache["app"], cache["folders"]) != (_FORMAT, __version__, folders):
            return None
        for plugin in cache["plugins"]:
            if plugin["sources"] != _file_times([source[0] for source in plugin["sources"]]):
                return None
            if not isinstance(plugin["manifest"]["name"], str):
                return None
        return [plugin["manifest"] for plugin in cache["plugins"]]
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _write_cache(paths: Paths, cache: Mapping[str, Any]) -> None:
    from registry.atomic import write_atomically

    try:
        make_private_folder(paths.cache)
        write_atomically(paths.manifest_cache, json.dumps(cache).encode())
    except OSError:
        return  # without a cache the next start describes again: slower, not wrong
