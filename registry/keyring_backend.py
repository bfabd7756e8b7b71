"""Finds the system's own keyring, and says in words for people what it complains about.

The library `keyring` also offers whatever other packages add: files in plain text, backends that ask on the
terminal. None of those is used, and none is imported.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from registry.errors import JackfieldError
from registry.secret_contract import StoreError, StoreFault
from registry.text import safe_text

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

MODULES: Final = tuple(
    f"keyring.backends.{module}" for module in ("SecretService", "libsecret", "kwallet", "macOS", "Windows")
)
"""The modules whose backends are keyrings of an operating system."""

_CHAIN: Final = "keyring.backends.chainer"
_UNLOCK: Final = "Unlock your login keyring and try again."
_CHOOSE: Final = (
    "Start the keyring of your desktop, or choose another place for secrets: "
    '`store = "file"` in the table `[secrets]` of config.toml.'
)
_LOCKED: Final = {"KeyringLocked", "InitError", "LockedException", "PromptDismissedException"}
_NOT_DELETED: Final = {"PasswordDeleteError", "ItemNotFoundException"}
_ABSENT: Final = {"NoKeyringError", "SecretServiceNotAvailableException"}
_TRUSTED_TEXT: Final = ("keyring.", "secretstorage.", "jeepney.")


class Backend(Protocol):
    """What is needed of a keyring. Every method may raise anything, and may take any time."""

    @property
    def name(self) -> str:
        """Which keyring it is, for people."""
        ...

    @property
    def replaces_at_once(self) -> bool:
        """Whether an item that is written again has the old text or the new one at every moment."""
        ...

    def get(self, service: str, name: str) -> str | None:
        """The text of an item; None if there is none."""
        ...

    def set(self, service: str, name: str, secret: str) -> None:
        """Write an item."""
        ...

    def delete(self, service: str, name: str) -> None:
        """Remove an item; nothing happens if there is none."""
        ...


def find_backend() -> Backend:
    """The system's keyring. What the user chose for the library `keyring` is heeded if it is one.

    It asks each kind of keyring whether it works here, which may take as long as that likes.

    Raises:
        StoreError: there is none.
    """
    choice, where = _user_choice()
    if choice:
        module = choice.rpartition(".")[0]
        if module not in {*MODULES, _CHAIN}:
            raise _no_keyring(f"{where} names {choice}, which is not a keyring of the system.")
        if module != _CHAIN:
            return _Keyring(_load(choice, where))
    best = max(_offered(), key=lambda backend: backend.priority, default=None)
    if best is None:
        raise _no_keyring("None answers here.")
    return _Keyring(best)


class _Keyring:
    """A backend of the library `keyring`."""

    def __init__(self, backend: KeyringBackend) -> None:
        self._backend = backend

    @property
    def name(self) -> str:
        kind = type(self._backend)
        return f"{kind.__module__}.{kind.__qualname__}"

    @property
    def replaces_at_once(self) -> bool:
        return type(self._backend).__module__ != "keyring.backends.macOS"  # it deletes, then adds

    def get(self, service: str, name: str) -> str | None:
        for _ in range(3):
            try:
                return self._backend.get_password(service, name)
            except Exception as error:
                if type(error).__name__ != "ItemNotFoundException":
                    raise  # else it was replaced between the search and the reading
        return None

    def set(self, service: str, name: str, secret: str) -> None:
        self._backend.set_password(service, name, secret)

    def delete(self, service: str, name: str) -> None:
        try:
            self._backend.delete_password(service, name)
        except Exception as error:
            # backends have one error for "there is none" and for "it cannot be removed"
            if type(error).__name__ not in _NOT_DELETED or self.get(service, name) is not None:
                raise


def _user_choice() -> tuple[str, str]:
    """The class that the user told the library `keyring` to use, and where they said so."""
    from configparser import Error, RawConfigParser

    from keyring.util.platform_ import config_root

    variable = os.environ.get("PYTHON_KEYRING_BACKEND")
    if variable is not None:
        return variable.strip() or "nothing", "PYTHON_KEYRING_BACKEND"
    parser = RawConfigParser()
    with suppress(Error, OSError, UnicodeDecodeError):  # the library, too, does without a broken file
        parser.read(config_root() / "keyringrc.cfg", encoding="utf-8")
        return parser.get("backend", "default-keyring", fallback="").strip(), "keyringrc.cfg"
    return "", ""


def _load(name: str, where: str) -> KeyringBackend:
    from keyring.core import load_keyring

    try:
        return load_keyring(name)
    except Exception as error:  # noqa: BLE001 - it probes the system, which may fail in any way
        raise _no_keyring(f"{where} names {name}, which cannot be used here. {_words(error)}") from None


def _offered() -> list[KeyringBackend]:
    """A backend of each kind that works here now. The library asks only once; a keyring may start later."""
    from keyring.backend import KeyringBackend

    for module in MODULES:
        with suppress(ImportError):  # of another system
            import_module(module)
    return [kind() for kind in KeyringBackend.get_viable_backends() if kind.__module__ in MODULES]


def store_error(error: BaseException) -> StoreError:
    """Say what a backend raised. The text of those that may quote what they were given is left out."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, JackfieldError):
        return StoreError(StoreFault.TIMED_OUT, error.title, detail=error.detail, hint=error.hint)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    detail = _words(error)
    if kinds & _ABSENT:
        return _no_keyring(detail)
    if kinds & _LOCKED:
        return StoreError(StoreFault.LOCKED, "The keyring is locked", detail=detail, hint=_UNLOCK)
    return StoreError(
        StoreFault.REFUSED,
        "The keyring refused",
        detail=detail,
        hint="Try again. `jackfield auth doctor` tells more about the keyring.",
    )


def _no_keyring(detail: str) -> StoreError:
    return StoreError(
        StoreFault.NO_BACKEND,
        "There is no keyring of the system to use",
        detail=safe_text(detail, limit=300),
        hint=_CHOOSE,
    )


def _words(error: BaseException) -> str:
    kind: Any = type(error)
    if isinstance(error, OSError):
        return f"{kind.__name__}: {error.strerror or ''}".rstrip(": ")
    if not f"{kind.__module__}.".startswith(_TRUSTED_TEXT) and kind is not RuntimeError:
        return str(kind.__name__)
    return safe_text(f"{kind.__name__}: {error}", limit=200, single_line=True)
