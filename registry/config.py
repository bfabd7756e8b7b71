"""The user's configuration, config.toml: read without ever failing, changed without harming what is in it.

A file that was read before costs one hash and one small JSON file; only a changed one is parsed and checked.
A broken file costs what it broke: the rest applies, each problem says where it is, the file stays as it is.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.errors import ConfigError
from registry.paths import Paths, make_private_folder
from registry.settings import ConfigProblem, LoadedConfig, PluginSettings, Settings, TomlValue

if TYPE_CHECKING:
    from registry.config_edit import Changes

__all__ = [
    "MAX_BYTES",
    "ConfigProblem",
    "LoadedConfig",
    "PluginSettings",
    "Settings",
    "TomlValue",
    "load_config",
    "update_config",
]

MAX_BYTES: Final = 1_000_000
"""The largest file that is read, in bytes."""
LOCK_TIMEOUT_S: Final = 10.0
"""How long a change waits for another Jackfield that is writing, in seconds."""


def load_config(paths: Paths) -> LoadedConfig:
    """The settings of config.toml. Without a file, all defaults.

    Never raises: what cannot be read or is wrong has its default, and `problems` says why.
    """
    file = paths.config_file
    try:
        data = _read(file)
    except FileNotFoundError:
        return LoadedConfig()
    except ConfigError as error:
        message = f"is not used: {error.detail}. {error.hint}".rstrip()
        return LoadedConfig(problems=(ConfigProblem(file, message),))
    return _check_once(paths, data)


def update_config(paths: Paths, changes: Changes) -> LoadedConfig:
    """Change keys in config.toml, which is made if it is missing; give back the settings that then hold.

    Comments, order, blank lines and unknown keys stay. The file is read again under a lock, so of two running
    instances neither loses what the other wrote. Call it off the event loop: it waits for the lock and for
    the disk.

    Args:
        paths: where the file is.
        changes: a value by the path of its key, such as `{("plugins", "local", "enabled"): True}`; None
            removes the key. All are made, or none.

    Raises:
        ConfigError: the file is not TOML, not UTF-8, too large, read-only or a folder, a change is not one
            that the settings allow, or writing failed. The file is as it was.
        JackfieldError: another Jackfield was writing all the time.
    """
    from registry.atomic import locked, write_atomically
    from registry.config_edit import edit_config

    file = paths.config_file
    try:
        make_private_folder(paths.config)
        _refuse_read_only(file)
        with locked(file, LOCK_TIMEOUT_S):
            _refuse_read_only(file)
            old, mode = _read_for_change(file)
            new = edit_config(old, changes, file)
            if len(new) > MAX_BYTES:
                raise _unusable(file, f"it would be larger than {MAX_BYTES:,} bytes", "Shorten it.")
            if new != old:
                write_atomically(file, new, mode)
    except OSError as error:
        raise _unusable(file, _reason(error), "Check the permissions of the file and its folder.") from error
    return _check_once(paths, new)


def _check_once(paths: Paths, data: bytes) -> LoadedConfig:
    """Check a content, or take from the cache what an earlier check of it gave."""
    from hashlib import sha256

    from registry.config_cache import read_cached, write_cached

    digest = sha256(data).hexdigest()
    cache = paths.cache / "config.json"
    known = read_cached(cache, digest, paths.config_file)
    if known is not None:
        return known
    from registry.config_check import check_config

    checked = check_config(data, paths.config_file)
    write_cached(cache, digest, checked)
    return checked


def _read(file: Path) -> bytes:
    """The content.

    Raises:
        FileNotFoundError: there is no file.
        ConfigError: it is no regular file, too large or unreadable.
    """
    try:
        found = file.stat()
        if stat.S_ISDIR(found.st_mode):
            raise _unusable(file, "it is a folder", "Move it away.")
        if not stat.S_ISREG(found.st_mode):
            raise _unusable(file, "it is not a regular file", "Move it away.")
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(file, _reason(error), "Check its permissions.") from error
    if len(data) > MAX_BYTES:
        raise _unusable(file, f"it is larger than {MAX_BYTES:,} bytes", "Shorten it.")
    return data


def _read_for_change(file: Path) -> tuple[bytes, int]:
    """The content and the permissions of the file, or those of a new one."""
    try:
        return _read(file), stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return b"", 0o600


def _refuse_read_only(file: Path) -> None:
    """Respect what is marked as read-only even where, as for root, the system would let us write."""
    target = Path(os.path.realpath(file))
    for path in (target, target.parent):
        if not path.exists() or (path.is_dir() and os.name != "posix"):  # Windows: no such mark on folders
            continue
        if not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK):
            what = "it" if path == target else "its folder"
            raise _unusable(file, f"{what} is read-only", "Make it writable, or change it by hand.")


def _unusable(file: Path, reason: str, hint: str) -> ConfigError:
    return ConfigError("The configuration cannot be used", detail=f"{file}: {reason}", hint=hint)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
