"""Finds plugins by their entry points, and keeps their manifests so that a start need not import them.

The cache is valid as long as nothing was installed or removed (the folders of `sys.path` are unchanged, or
hold the same distributions) and no source file that a manifest was made from was edited. Its first line says
what it was made from, its second what a start needs to know of every plugin, and then comes a line for each
manifest.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jackfield import __version__
from registry.paths import Paths, make_private_folder
from registry.stored import StoredManifest, index_of, text_of

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from registry.describing import Candidate, Described
    from registry.launch import Launch
    from registry.manifest import Manifest
    from registry.states import Held

GROUP = "jackfield.plugins"
"""The entry-point group of built-in and third-party plugins alike."""

BUILTIN_PUBLISHER = "Jackfield"
"""The publisher of the plugins that are part of the app; no other plugin is given this name."""
DESCRIBE_AGAIN_LIMIT_S = 60.0
"""How long describing one plugin anew may take, in seconds."""
_BUILTIN_DISTRIBUTION = "jackfield"
_DISTRIBUTIONS = (".dist-info", ".egg-info", ".egg")
_FORMAT = 9


@dataclass(slots=True)
class _Cache:
    """What is known of all plugins, in order: JSON manifests and the state of their source files."""

    manifests: list[dict[str, Any]]
    sources: list[list[list[object]]]

    def add(self, described: Described) -> None:
        self.manifests.append(described.manifest.to_json())
        self.sources.append(_file_times(described.sources))

    def replace(self, place: int, described: Described) -> None:
        new = described.manifest.to_json()
        _keep_guard(self.manifests[place], new)
        self.manifests[place], self.sources[place] = new, _file_times(described.sources)

    def stale_places(self) -> list[int]:
        return [
            place
            for place, sources in enumerate(self.sources)
            if sources != _file_times([str(source[0]) for source in sources])
        ]


def discover(
    paths: Paths, *, describe: Callable[[Sequence[Candidate]], list[Described]] | None = None
) -> list[dict[str, Any]]:
    """The manifests of all installed plugins, as JSON data, from the cache when it is still true.

    A stale or broken cache is made anew without a word. May take a second then: each plugin that is new or
    changed is imported, in a process of its own.

    Args:
        paths: where the cache is.
        describe: how plugins are described; `describe_all` unless given.
    """
    cache, then = _read_cache(paths)
    folders = _folders(then)
    if cache is None or not _hold_the_same(folders, then):
        cache = _describe_installed(cache, describe)
    else:
        stale = cache.stale_places()
        if not stale and folders == then:
            return cache.manifests
        if any(_is_member(cache.manifests[place]) for place in stale):
            cache = _describe_installed(cache, describe)  # a family may have other members now
            stale = []
        if stale:
            candidates = [_candidate(cache.manifests[place]) for place in stale]
            for place, described in zip(stale, _describe(candidates, describe), strict=True):
                cache.replace(place, described)
    _write_cache(paths, cache, folders)
    return cache.manifests


def describe_again(manifest: Manifest, paths: Paths | None = None) -> Manifest:
    """A fresh manifest of one plugin, for example after its code was edited.

    Args:
        manifest: what was known of it.
        paths: where the cache is that shall know it too, if any.
    """
    from registry.manifest import Manifest

    if manifest.launch is not None:
        return _describe_process_again(manifest, manifest.launch, paths)
    old = manifest.to_json()
    described = _describe([_candidate(old)], None)[0]
    cache, folders = _read_cache(paths) if paths else (None, [])
    if paths and cache is not None:
        for place, known in enumerate(cache.manifests):
            if known["entry_point"] == manifest.entry_point:
                cache.replace(place, described)
                _write_cache(paths, cache, folders)
                break
    new = described.manifest.to_json()
    _keep_guard(old, new)
    return Manifest.from_json(new)


async def describe_in_time(old: Manifest, paths: Paths) -> Manifest:
    """As `describe_again`, off the event loop; one that takes too long is described as broken."""
    from dataclasses import replace

    from registry.contract import explain
    from registry.threads import call_with_limit

    try:
        return await call_with_limit(
            lambda: describe_again(old, paths),
            limit_s=DESCRIBE_AGAIN_LIMIT_S,
            name=f"describe {old.name}",
        )
    except (TimeoutError, OSError) as error:
        return replace(old, problem=f"It could not be described: {explain(error)}")


def check_before_start(paths: Paths, manifest: Manifest) -> Held | None:
    """What keeps a plugin that came from a marketplace from being started, if anything does; blocking.

    Raises:
        PluginError: it was changed since it was found.
    """
    from registry.marketplace.manifests import check_before_start  # few plugins come from there

    return check_before_start(paths, manifest)


def _describe_process_again(manifest: Manifest, launch: Launch, paths: Paths | None) -> Manifest:
    import asyncio  # a list of plugins need not pay for it

    from registry.errors import PluginError
    from registry.marketplace.manifests import manifest_again
    from registry.runtimes.process import describe_process

    try:
        known = manifest_again(paths, manifest) if paths else None
        if known is not None:
            return known  # its code runs when it was agreed to, and not to be described
        return asyncio.run(describe_process(launch, publisher=manifest.publisher))
    except PluginError as error:
        return replace(manifest, problem=str(error))


def _describe_installed(
    old: _Cache | None, describe: Callable[[Sequence[Candidate]], list[Described]] | None
) -> _Cache:
    known = {manifest["entry_point"]: manifest for manifest in old.manifests} if old else {}
    cache = _Cache([], [])
    for described in _describe(find_candidates(), describe):
        cache.add(described)
        _keep_guard(known.get(described.manifest.entry_point), cache.manifests[-1])
    return cache


def _describe(
    candidates: Sequence[Candidate], describe: Callable[[Sequence[Candidate]], list[Described]] | None
) -> list[Described]:
    from registry.describing import Candidate, describe_all  # only when something has to be described
    from registry.loading import MEMBER

    describe = describe or describe_all
    described = describe(candidates)
    members = [
        Candidate(member.partition(MEMBER)[2], member, candidate.publisher)
        for candidate, one in zip(candidates, described, strict=True)
        for member in one.members or ()
    ]
    found = iter(describe(members) if members else ())
    results: list[Described] = []
    for one in described:
        results += [one] if one.members is None else [next(found) for _ in one.members]
    return results


def _is_member(manifest: Mapping[str, Any]) -> bool:
    from registry.loading import MEMBER

    return MEMBER in manifest["entry_point"]


def _candidate(manifest: Mapping[str, Any]) -> Candidate:
    from registry.describing import Candidate

    return Candidate(manifest["name"], manifest["entry_point"], manifest["publisher"])


def _keep_guard(old: Mapping[str, Any] | None, new: dict[str, Any]) -> None:
    """A guard that can no longer be described stays one: what it guards must not pass because it broke."""
    if old and old["guard"] and new["problem"]:
        new["guard"], new["hooks"], new["name"] = True, old["hooks"], old["name"]


def find_candidates() -> list[Candidate]:
    """The entry points of the group, those of the app first, each group by name; nothing is imported."""
    from importlib.metadata import distributions  # 60 ms that a warm cache saves

    from registry.describing import Candidate

    found: dict[tuple[str, str], Candidate] = {}
    seen: set[str] = set()
    for distribution in distributions(path=_absolute(sys.path)):
        name, entries = _entries(distribution)
        if name and name in seen:
            continue  # an older copy further down the path
        seen.add(name)
        publisher = _publisher(name, distribution) if entries else ""
        for entry_name, value in entries:
            found.setdefault((entry_name, value), Candidate(entry_name, value, publisher))
    return sorted(found.values(), key=_candidate_order)


def _candidate_order(candidate: Candidate) -> tuple[bool, str, str]:
    return candidate.publisher != BUILTIN_PUBLISHER, candidate.name, candidate.entry_point


def _entries(distribution: Distribution) -> tuple[str, list[tuple[str, str]]]:
    """A distribution's normal name and its entry points of the group; none when it is damaged."""
    try:
        names = distribution.metadata.get_all("Name") or [""]
        name = str(names[0]).lower().replace("_", "-").replace(".", "-")
    except Exception:  # noqa: BLE001 - the border to files of any content: a damaged one has no name
        name = ""
    try:
        entries = [entry for entry in distribution.entry_points if entry.group == GROUP]
        # Extras, as in `module:attribute [extra]`, have no meaning for a plugin.
        return name, [(entry.name, entry.value.partition("[")[0].strip()) for entry in entries]
    except Exception:  # noqa: BLE001 - ditto: nothing can be said of its plugins, not even that it has any
        return name, []


def _publisher(name: str, distribution: Distribution) -> str:
    from registry.text import safe_text

    if name == _BUILTIN_DISTRIBUTION:
        return BUILTIN_PUBLISHER
    # Asked for what is missing, a backport that others bring raises where the standard library gives None.
    metadata = distribution.metadata if name else None
    there = [field for field in ("Author", "Author-email") if metadata and field in metadata]
    said = str(next((metadata[field] for field in there if metadata and metadata[field]), ""))
    publisher = safe_text(said, single_line=True, limit=80) or safe_text(name, single_line=True, limit=80)
    # Whoever calls themselves like the app is called by their package.
    return f"package {name}" if publisher.casefold() == BUILTIN_PUBLISHER.casefold() else publisher


def _absolute(folders: Iterable[str]) -> list[str]:
    """Without relative entries: those mean the folder that the user happens to stand in."""
    return [folder for folder in folders if os.path.isabs(folder)]  # noqa: PTH117 - plain strings, often


def _folders(known: Sequence[Sequence[object]]) -> list[list[object]]:
    """Each folder of `sys.path` with the time of its last change, and a sum of the distributions in it.

    Installing and removing packages moves the time; so does Python when it first keeps bytecode there.

    Args:
        known: the same from before. The sum is taken from there while the time is the same.
    """
    sums = {folder: (time, sum_) for folder, time, sum_ in known}
    found: list[list[object]] = []
    for folder in _absolute(sys.path):
        try:
            time: int | None = os.stat(folder).st_mtime_ns  # noqa: PTH116 - half the cost of Path
        except (OSError, ValueError):
            time = None
        time_then, sum_ = sums.get(folder, (None, None))
        same = sum_ is not None and time_then == time
        found.append([folder, time, sum_ if same else _sum_of_distributions(folder)])
    return found


def _sum_of_distributions(folder: str) -> int:
    try:
        with os.scandir(folder) as entries:
            there = [entry for entry in entries if entry.name.endswith(_DISTRIBUTIONS)]
            return zlib.crc32(repr(sorted((each.name, each.stat().st_mtime_ns) for each in there)).encode())
    except (OSError, ValueError):
        return 0


def _hold_the_same(folders: Sequence[Sequence[object]], then: Sequence[Sequence[object]]) -> bool:
    return [(folder, sum_) for folder, _, sum_ in folders] == [(folder, sum_) for folder, _, sum_ in then]


def _file_times(files: Sequence[str]) -> list[list[object]]:
    times: list[list[object]] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - half the cost of Path, a thousand times
            times.append([file, status.st_mtime_ns, status.st_size])
        except (OSError, ValueError):
            times.append([file, None, None])
    return times


def _read_cache(paths: Paths) -> tuple[_Cache | None, list[list[object]]]:
    """The cache and the state of the folders it was made from; None when there is none that can be used."""
    try:
        head, _, body = paths.manifest_cache.read_bytes().partition(b"\n")
        about = json.loads(head)
        if about["shape"] != _shape() or about["check"] != zlib.crc32(body):
            return None, []
        first, *texts = body.split(b"\n")
        indexes, sources = json.loads(first)
        manifests = list(map(StoredManifest, indexes, texts))
        folders = [[os.fspath(folder), time, int(sum_)] for folder, time, sum_ in about["folders"]]
        return _Cache([*manifests], sources), folders
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return None, []


def _write_cache(paths: Paths, cache: _Cache, folders: list[list[object]]) -> None:
    from registry.atomic import write_atomically

    first = json.dumps([[index_of(manifest) for manifest in cache.manifests], cache.sources]).encode()
    body = b"\n".join([first, *map(text_of, cache.manifests)])
    about = {"shape": _shape(), "check": zlib.crc32(body), "folders": folders}
    try:
        make_private_folder(paths.cache)
        write_atomically(paths.manifest_cache, json.dumps(about).encode() + b"\n" + body)
    except OSError:
        return  # without a cache the next start describes again: slower, not wrong


def _shape() -> list[object]:
    """What the app that wrote a cache has to share with the one that reads it."""
    return [_FORMAT, __version__, list(sys.version_info[:3])]
