"""What is installed on this machine: which code is current, which came before, and what was agreed to.

One file says all of it, so that a change of what is current is one atomic write. Only the app writes it, so
it is JSON: a start reads it, and that has to be quick.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from registry.errors import JackfieldError, reason_of

if TYPE_CHECKING:
    from registry.marketplace.consent import Ask
    from registry.marketplace.sources import Source
    from registry.paths import Paths

KEPT_VERSIONS: Final = 5
"""How many earlier versions of a plugin are kept to go back to."""
LOCK_LIMIT_S: Final = 30.0
_FORMAT: Final = 1
_TREE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class InstalledVersion:
    """One version of a plugin in the store."""

    version: str
    tree: str
    """The hash that its folder is named by."""
    artefact: str
    """SHA-256 of the file that it came from."""
    requirements: str
    """The closure of its dependencies, as a requirements file with hashes; empty without any."""
    installed_at: str
    """As ISO 8601 has it."""
    manifest: Mapping[str, Any]
    """As the signed catalogue had it."""
    launch: Mapping[str, Any]
    """How its process is started."""

    def is_same(self, other: InstalledVersion) -> bool:
        """Whether both were installed from the same files."""
        return (self.artefact, self.requirements) == (other.artefact, other.requirements)


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One plugin that was installed from a marketplace."""

    id: str
    marketplace: str
    current: InstalledVersion
    earlier: tuple[InstalledVersion, ...] = ()
    """The newest first."""
    pinned: bool = False
    """Whether updates leave it as it is."""
    ignore_age: bool = False
    """Whether new versions of it need not be of a certain age."""
    grant: str = ""
    """What binds the agreement to this code; see `consent.grant_hash`."""
    asks: tuple[tuple[str, str], ...] = field(default=())
    """What was agreed to."""
    revoked: str = ""
    """Why its marketplace withdrew this version; empty when all is well."""
    warned: str = ""
    """What its marketplace warns of in this version, which stays on; empty when all is well."""
    reviewed: bool = True
    """False after an update that asks for more than was agreed to."""
    fingerprint: str = ""
    """That of the root of its marketplace when it was installed; empty where it was not written down yet."""

    @property
    def name(self) -> str:
        """What the plugin calls itself."""
        return self.id.partition("/")[2]

    @property
    def publisher(self) -> str:
        """Who published it."""
        return self.id.partition("/")[0]

    @property
    def before(self) -> InstalledVersion | None:
        """The version to go back to: of those that are kept, what was current last and is not newer."""
        from packaging.version import Version as Number

        now = Number(self.current.version)
        return next((version for version in self.earlier if Number(version.version) <= now), None)

    def is_from(self, source: Source) -> bool:
        """Whether this is the marketplace that it came from: of the same name, under the same root."""
        return source.name == self.marketplace and self.fingerprint in ("", source.fingerprint)

    def granted(self) -> tuple[Ask, ...]:
        """What was agreed to, as far as this Jackfield knows such things."""
        from registry.marketplace.consent import Ask, is_kind

        return tuple(Ask(kind, what) for kind, what in self.asks if is_kind(kind))

    def moved_to(self, version: InstalledVersion) -> InstalledPlugin:
        """The same plugin with another current version; the one that was current is kept to go back to."""
        before = [self.current, *self.earlier]
        earlier = [known for known in before if known.tree != version.tree and not known.is_same(version)]
        return replace(self, current=version, earlier=tuple(earlier[:KEPT_VERSIONS]), revoked="", warned="")


def installed_file(paths: Paths) -> Path:
    """Where it is written down."""
    return paths.data / "installed.json"


def read_installed(paths: Paths) -> dict[str, InstalledPlugin]:
    """What is installed, by id, sorted.

    Raises:
        JackfieldError: the file is damaged.
    """
    file = installed_file(paths)
    try:
        data = json.loads(file.read_bytes())
        if data["format"] != _FORMAT:
            raise ValueError(f"it has the format {data['format']}")
        plugins = [_plugin(row) for row in data["plugins"]]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise JackfieldError(
            "The list of installed plugins cannot be read",
            detail=reason_of(error, file),
            hint="`jackfield plugins restore` sets it aside and installs what plugins.lock says.",
        ) from error
    return {plugin.id: plugin for plugin in plugins}


Plugins: TypeAlias = dict[str, InstalledPlugin]


def change_installed(
    paths: Paths,
    change: Callable[[Plugins], None],
    then: Callable[[Plugins, Plugins], None] = lambda _before, _after: None,
) -> Plugins:
    """Change what is installed: read, changed and written under a lock, so that no other writer is undone.

    Args:
        paths: where it is.
        change: changes what it is given; when it raises, nothing is changed.
        then: what has to be brought in line before anybody else changes something: told what there was, and
            what there is now.

    Raises:
        JackfieldError: it cannot be read or written, or another process writes for too long.
    """
    from registry.atomic import locked, write_atomically  # a start only reads

    file = installed_file(paths)
    with locked(file, LOCK_LIMIT_S):
        _remove_leftovers(file)
        before = read_installed(paths)
        plugins = dict(before)
        change(plugins)
        if plugins == before and file.exists():
            then(before, plugins)
            return plugins
        rows = [asdict(plugins[plugin_id]) for plugin_id in sorted(plugins)]
        data = json.dumps({"format": _FORMAT, "plugins": rows}, indent=1, default=_plain)
        try:
            write_atomically(file, data.encode())
        except OSError as error:
            raise JackfieldError(
                "The list of installed plugins cannot be written",
                detail=reason_of(error),
                hint="Nothing was changed. Make room on the disk, then try again.",
            ) from error
        then(before, plugins)
    return plugins


def set_damaged_aside(paths: Paths) -> Path | None:
    """Rename a list that cannot be read, so that a new one can be begun; gives its new name, if it had to.

    Raises:
        JackfieldError, OSError: it cannot be renamed.
    """
    from registry.atomic import locked

    file = installed_file(paths)
    with locked(file, LOCK_LIMIT_S):
        try:
            read_installed(paths)
        except JackfieldError:
            aside = file.with_name(f"installed.damaged-{int(time.time())}.json")
            return file.replace(aside)
    return None


def _remove_leftovers(file: Path) -> None:
    """What a process that was killed had not finished writing; the lock is held, so nobody else writes it."""
    for leftover in file.parent.glob(f".{file.name}.*.tmp"):
        with suppress(OSError):
            leftover.unlink()


def trees_in_use(plugins: Mapping[str, InstalledPlugin]) -> set[str]:
    """The hashes of all content that is current or kept to go back to."""
    return {version.tree for plugin in plugins.values() for version in (plugin.current, *plugin.earlier)}


def current_versions(
    plugins: Iterable[InstalledPlugin], sources: Collection[Source]
) -> dict[tuple[str, str], str]:
    """The current version of each plugin, by the marketplace that it came from and its id.

    A plugin whose marketplace is not there any more, or is another one under the old name, is not among them.
    """
    return {
        (plugin.marketplace, plugin.id): plugin.current.version
        for plugin in plugins
        if any(plugin.is_from(source) for source in sources)
    }


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _plugin(row: Mapping[str, Any]) -> InstalledPlugin:
    return InstalledPlugin(
        id=_text(row["id"]),
        marketplace=_text(row["marketplace"]),
        current=_version(row["current"]),
        earlier=tuple(_version(version) for version in _list(row["earlier"])),
        pinned=row["pinned"] is True,
        ignore_age=row["ignore_age"] is True,
        grant=_text(row["grant"]),
        asks=tuple((_text(kind), _text(what)) for kind, what in _list(row["asks"])),
        revoked=_text(row["revoked"]),
        warned=_text(row.get("warned", "")),
        reviewed=row["reviewed"] is True,
        fingerprint=_text(row.get("fingerprint", "")),
    )


def _version(row: Mapping[str, Any]) -> InstalledVersion:
    return InstalledVersion(
        version=_text(row["version"]),
        tree=_tree(row["tree"]),
        artefact=_text(row["artefact"]),
        requirements=_text(row["requirements"]),
        installed_at=_text(row["installed_at"]),
        manifest=_table(row["manifest"]),
        launch=_table(row["launch"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def _tree(value: object) -> str:
    if not _TREE.fullmatch(_text(value)):
        raise ValueError("a folder is named by a hash")
    return _text(value)


def _table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} instead of a table")
    return value


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} instead of a list")
    return value
