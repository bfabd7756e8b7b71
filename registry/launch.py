"""How a plugin that has a process of its own is started: data, kept in its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

KEPT: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
        *("TMPDIR", "TEMP", "TMP", "USERPROFILE", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
"""Environment variables that every plugin's process is given, in either case; those of `LC_` beside."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plugin's process may use, and how long the app waits for it."""

    memory_bytes: int = 2 * 2**30
    """Address space of each of its processes (RLIMIT_AS)."""
    cpu_s: int = 600
    """Processor time over its life, in seconds (RLIMIT_CPU); the next call starts it again after that."""
    open_files: int = 256
    """RLIMIT_NOFILE."""
    processes: int = 512
    """Processes and threads beyond those that the user has when it is started (RLIMIT_NPROC, Linux only)."""
    start_s: float = 9.0
    """From the start to its description, and again to the end of its `on_init`, in seconds."""
    hook_s: float = 4.5
    """One hook over a request or an answer, in seconds; less than the registry itself waits."""
    event_s: float = 0.9
    """One hook over one event, in seconds; ditto."""
    call_s: float = 60.0
    """One command, one list of models, one check of a credential, in seconds."""
    silence_s: float = 900.0
    """How long a stream may say nothing, in seconds: some models think for minutes."""
    cancel_s: float = 2.0
    """How long it may take to stop what was cancelled, in seconds; after that its process is ended."""
    stop_s: float = 2.0
    """How long it may take to close and to exit, in seconds; after that it is killed."""
    idle_s: float = 300.0
    """It is stopped after this many seconds without a call, and started again by the next."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the process of one plugin."""

    command: tuple[str, ...] | None
    """A command line, None for Python; a relative path with a `/` in it begins at `folder`."""
    folder: Path
    """Where its code lies, the dependencies of a Python plugin included; its working directory."""
    entry_point: str = ""
    """`module:attribute` of a Python plugin."""
    environment: tuple[str, ...] = ()
    """Environment variables that it declared beyond those that every process is given."""
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> dict[str, Any]:
        """JSON data that `from_json` reads."""
        data = asdict(self)
        data["command"] = None if self.command is None else list(self.command)
        return {**data, "folder": str(self.folder), "environment": list(self.environment)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, folder: Path | None = None) -> Launch:
        """A launch from what `to_json` wrote; only a command or an entry point has to be there.

        Args:
            data: what was written.
            folder: where the code lies now, in place of the folder in the data.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        command = data.get("command")
        entry_point = data.get("entry_point", "")
        if (command is None) == (entry_point == ""):
            raise ValueError("a launch has either a command or an entry point")
        return cls(
            None if command is None else _texts(command),
            folder or Path(_text(data["folder"])),
            _text(entry_point),
            _texts(data.get("environment", [])),
            _limits(data.get("limits", {})),
        )

    def environment_of(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What of the app's environment its process is given: no key that it did not declare."""
        return {
            name: value
            for name, value in environ.items()
            if name.upper() in KEPT or name.upper().startswith("LC_") or name in self.environment
        }


def _limits(data: object) -> Limits:
    if not isinstance(data, Mapping):
        raise TypeError("limits are no table")
    known = {limit.name for limit in fields(Limits)}
    for name, value in data.items():
        if name not in known or type(value) not in (int, float) or not value > 0:
            raise ValueError(f"{name!r} is no limit, or not a number above 0")
    return Limits(**data)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise TypeError("no list of texts")
    return tuple(values)
