"""`plugins.lock`: which plugins in which versions, with all hashes, so that another machine gets the same.

TOML, sorted, one row for each plugin, so that two changes merge. Reading it never writes it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from registry.atomic import locked, write_atomically
from registry.errors import JackfieldError, reason_of
from registry.names import is_plugin_id
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.installed import InstalledPlugin
    from registry.paths import Paths

LOCK_LIMIT_S: Final = 30.0
_HEAD: Final = """\
# The plugins that are installed, with the hashes of their files for every platform.
# Written by Jackfield; `jackfield plugins restore` installs what it says.
version = 1
plugins = [
"""
_TEXTS: Final = ("id", "version", "marketplace", "artefact")
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)\s*(;[^\\#]*)?")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, order=True)
class LockedPlugin:
    """One row."""

    id: str
    version: str
    marketplace: str
    artefact: str
    """SHA-256 of the plugin's own file."""
    requires: tuple[str, ...]
    """The closure: `name==version`, a marker if any, then hashes, each as a requirements file has them."""
    grant: str
    """What was agreed to where it was locked. It is shown, never taken as agreement on another machine."""
    pinned: bool = False

    @property
    def requirements(self) -> str:
        """The closure as a requirements file."""
        return "".join(f"{line}\n" for line in self.requires)


def lock_file(paths: Paths) -> Path:
    """Where it is."""
    return paths.config / "plugins.lock"


def read_lock(file: Path) -> tuple[LockedPlugin, ...]:
    """The rows of a lock file, sorted; none when there is no file.

    Raises:
        JackfieldError: it cannot be read.
    """
    try:
        data = tomllib.loads(file.read_text("utf-8"))
        if data.get("version") != 1:
            raise ValueError(f"it has the version {data.get('version')!r}")
        rows = [_row(row) for row in data["plugins"]]
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise JackfieldError(
            "The lock file cannot be read",
            detail=reason_of(error, file),
            hint="Mend it, or write it anew with `jackfield plugins lock`.",
        ) from error
    seen = {row.id for row in rows}
    if len(seen) != len(rows):
        raise JackfieldError(
            "The lock file names a plugin twice",
            detail=safe_text(str(file), single_line=True, limit=500),
            hint="Take one of its rows out; two changes may have been merged.",
        )
    return tuple(sorted(rows))


def write_lock(file: Path, rows: Iterable[LockedPlugin]) -> None:
    """Write a lock file anew; a file that already says the same is left alone.

    Raises:
        JackfieldError, OSError: it cannot be written.
    """
    with locked(file, LOCK_LIMIT_S):
        _write(file, rows)


def change_lock(file: Path, changes: Mapping[str, LockedPlugin | None]) -> None:
    """Change rows of a lock file and leave the others, which may be of plugins that are not installed here.

    Args:
        file: the lock file.
        changes: the new row of each id that changed; None removes it.

    Raises:
        JackfieldError, OSError: it cannot be read or written.
    """
    if not changes:
        return
    with locked(file, LOCK_LIMIT_S):
        rows: dict[str, LockedPlugin | None] = {row.id: row for row in read_lock(file)}
        rows.update(changes)
        _write(file, [row for row in rows.values() if row is not None])


class UnwrittenRows:
    """Whose rows the lock file does not have yet: noted before the list of what is installed is written.

    So a process that is killed in between leaves word for the next one, and rows that were changed by hand,
    or came from another machine, are left alone all the same.
    """

    def __init__(self, paths: Paths) -> None:
        self._file = paths.data / "unlocked.json"

    def ids(self) -> set[str]:
        """The ids."""
        try:
            return {str(plugin_id) for plugin_id in json.loads(self._file.read_bytes())}
        except (OSError, ValueError, TypeError):
            return set()

    def add(self, ids: Iterable[str]) -> None:
        """Note ids.

        Raises:
            OSError: it cannot be written.
        """
        known = self.ids()
        if more := known | set(ids):
            write_atomically(self._file, json.dumps(sorted(more)).encode())

    def clear(self) -> None:
        """The lock file has all rows.

        Raises:
            OSError: it cannot be written.
        """
        _remove_leftovers(self._file)
        self._file.unlink(missing_ok=True)


def _write(file: Path, rows: Iterable[LockedPlugin]) -> None:
    _remove_leftovers(file)
    text = _HEAD + "".join(f"  {_inline(row)},\n" for row in sorted(rows)) + "]\n"
    try:
        if file.read_text("utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    write_atomically(file, text.encode(), mode=0o644)


def _remove_leftovers(file: Path) -> None:
    """What processes left behind that were killed while they wrote this file."""
    for leftover in file.parent.glob(f".{file.name}.*.tmp"):
        with suppress(OSError):
            leftover.unlink()


def locked_plugin(plugin: InstalledPlugin) -> LockedPlugin:
    """The row of an installed plugin."""
    current = plugin.current
    return LockedPlugin(
        plugin.id,
        current.version,
        plugin.marketplace,
        current.artefact,
        requirement_lines(current.requirements),
        plugin.grant,
        plugin.pinned,
    )


def requirement_lines(requirements: str) -> tuple[str, ...]:
    """The requirements with their hashes, each on one line, sorted.

    Raises:
        ValueError: one has no exact version or no hash.
    """
    lines: list[str] = []
    for line in requirements.replace("\\\n", " ").splitlines():
        text = line.partition(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        found = _REQUIREMENT.match(text)
        hashes = sorted(set(_HASH.findall(text)))
        if found is None or not hashes:
            raise ValueError(f"a requirement without version or hash: {text[:100]}")
        name, version, marker = found.group(1), found.group(2), (found.group(3) or "").strip()
        head = f"{name}=={version}" + (f" {marker}" if marker else "")
        lines.append(" ".join([head.split(" --hash")[0].strip(), *(f"--hash={digest}" for digest in hashes)]))
    return tuple(sorted(lines))


def _row(row: Any) -> LockedPlugin:
    if not isinstance(row, dict):
        raise TypeError("a row is a table")
    if not all(isinstance(row[name], str) for name in _TEXTS):
        raise TypeError("a row holds text")
    if not is_plugin_id(row["id"]):
        raise ValueError(f"a row is of no plugin with its publisher: {row['id'][:130]!r}")
    return LockedPlugin(
        id=row["id"],
        version=row["version"],
        marketplace=row["marketplace"],
        artefact=row["artefact"],
        requires=requirement_lines("\n".join(str(line) for line in row.get("requires", []))),
        grant=str(row.get("grant", "")),
        pinned=row.get("pinned") is True,
    )


def _inline(row: LockedPlugin) -> str:
    parts = [
        f"{name} = {_quoted(getattr(row, name))}" for name in ("id", "version", "marketplace", "artefact")
    ]
    parts.append(f"requires = [{', '.join(_quoted(line) for line in row.requires)}]")
    parts.append(f"grant = {_quoted(row.grant)}")
    if row.pinned:
        parts.append("pinned = true")
    return "{" + ", ".join(parts) + "}"


def _quoted(text: str) -> str:
    # a JSON string is a TOML basic string but for DEL, and for pairs of surrogates that ASCII would need
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
