"""What a plugin asks for, in plain words; what was agreed to; and the one door through which plugins come in.

A grant is bound to what was agreed to and to the code it was agreed for. An update that asks for no more than
before carries the agreement on; one that asks for more shows the difference and stays off until answered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard, get_args
from urllib.parse import urlsplit

from registry.errors import JackfieldError
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.manifest import Manifest
    from registry.marketplace.entry import Entry, Version
    from registry.marketplace.rules import Rules

AskKind: TypeAlias = Literal[
    "host",
    "environment",
    "folder",
    "hook",
    "guard",
    "command",
    "provider",
    "auth",
    "server",
    "scope",
    "dependency",
]

_WORDS: Final[dict[AskKind, str]] = {
    "host": "calls {}",
    "environment": "is given the environment variable {}",
    "folder": "reads and writes {}",
    "hook": "{}",
    "guard": "stops the turn when one of its hooks fails",
    "command": "adds the command /{}",
    "provider": "answers as {}: all that you say to it goes to this plugin",
    "auth": "asks you to sign in: {}",
    "server": "has codes and tokens of the sign-in sent to {}",
    "scope": "asks for {} when you sign in",
    "dependency": "brings the package {}",
}
_SHOWN: Final = 200
"""So many characters of what is asked for are shown."""
_HOOKS: Final = {
    "on_request": "sees and may change all that you send, the earlier messages too",
    "on_response": "sees and may change every finished answer",
    "on_event": "sees and may change every piece of an answer as it streams",
}


_KINDS: Final = frozenset(get_args(AskKind))
_SERVERS: Final = (
    "issuer",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "redirect_uri",
)
"""What of an auth method says who takes part in signing in."""


class ConsentError(JackfieldError):
    """A plugin must not, or was not allowed to, come in."""


@dataclass(frozen=True, slots=True, order=True)
class Ask:
    """One thing that a plugin asks for."""

    kind: AskKind
    what: str
    """As it was asked for, whole: what is compared and agreed to is never cut."""

    @property
    def words(self) -> str:
        """The same in plain words, in one line that is safe to show."""
        if self.kind == "hook":
            return _HOOKS.get(self.what, _shown(self.what))
        return _WORDS[self.kind].format(_shown(self.what))


def is_kind(text: str) -> TypeGuard[AskKind]:
    """Whether there is such a kind of thing to ask for; a newer Jackfield may know more of them."""
    return text in _KINDS


@dataclass(frozen=True, slots=True)
class Request:
    """What is put before the user."""

    id: str
    version: str
    asks: tuple[Ask, ...]
    """All that it asks for."""
    more: tuple[Ask, ...]
    """What of it was not agreed to before; everything for a new plugin."""
    is_update: bool
    warnings: tuple[str, ...] = ()
    """What does not forbid it but should be known: from another marketplace, deprecated, not verified."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What was agreed to, bound to the code that it was agreed for."""

    hash: str
    asks: tuple[Ask, ...]


Confirm: TypeAlias = Callable[[Request], Awaitable[bool]]
"""Puts a request before the user; False unless they said yes."""


def asks_of(manifest: Manifest, requirements: str = "") -> tuple[Ask, ...]:
    """All that a plugin asks for, sorted.

    Args:
        manifest: what it contributes and declares.
        requirements: the closure of its dependencies, as a requirements file.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it is damaged.
    """
    found = {Ask("host", host) for host in manifest.capabilities.hosts}
    found |= {Ask("environment", name) for name in manifest.capabilities.environment}
    found |= {Ask("folder", folder) for folder in manifest.capabilities.folders}
    found |= {Ask("hook", hook) for hook in manifest.hooks}
    found |= {Ask("guard", "")} if manifest.guard else set()
    found |= {Ask("command", str(command.name)) for command in manifest.commands}
    found |= {Ask("provider", str(provider.title)) for provider in manifest.providers}
    for entry in manifest.auth_methods:
        found |= _asks_of_sign_in(entry.data)
    found |= {Ask("dependency", name) for name in dependency_names(requirements)}
    return tuple(sorted(found))


def _asks_of_sign_in(method: Mapping[str, Any]) -> set[Ask]:
    """What an auth method asks for: who is signed in to, for what, and which variables may hold a key."""
    found = {Ask("auth", _auth_words(method))}
    # `Connections` hands over the value of each of these
    found |= {Ask("environment", str(name)) for name in method.get("env") or ()}
    servers = {urlsplit(method.get(name) or "").netloc.casefold() for name in _SERVERS}
    found |= {Ask("server", server) for server in servers if server}  # without one it is no address
    found |= {Ask("scope", str(scope)) for scope in method.get("scopes") or ()}
    more = method.get("extra_parameters") or {}
    found |= {Ask("scope", f"{name}={value}") for name, value in more.items()}  # may widen it as well
    return found


def _auth_words(data: Mapping[str, Any]) -> str:
    kind = {
        "api_key": "with an API key",
        "oauth_code": "in the browser",
        "oauth_device": "with a code on another device",
        "form": "with a form",
        "no_auth": "with nothing",
    }.get(str(data.get("type")), "in a way of its own")
    where = (
        data.get("authorization_endpoint") or data.get("device_authorization_endpoint") or data.get("issuer")
    )
    return f"{kind}, at {where}" if where else kind


def dependency_names(requirements: str) -> tuple[str, ...]:
    """The packages of a requirements file, by their normalised names, sorted.

    They are read from the very lines that are handed to the tool that fetches them.

    Raises:
        ValueError: one has no exact version or no hash, or a name that reads like the option of a tool.
    """
    from packaging.utils import canonicalize_name

    from registry.marketplace.lock import requirement_lines

    names = {line.partition("==")[0] for line in requirement_lines(requirements)}
    for name in names:
        if "--" in name:
            raise ValueError(f"a package named {name[:100]}")
    return tuple(sorted({canonicalize_name(name) for name in names}))


def grant_hash(asks: Iterable[Ask], *code: str | None) -> str:
    """What binds an agreement to what was agreed to and to hashes of code, as 64 hexadecimal digits."""
    data = {"asks": sorted([ask.kind, ask.what] for ask in asks), "code": list(code)}
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def more_than(granted: Iterable[Ask] | None, asks: Iterable[Ask]) -> tuple[Ask, ...]:
    """What is asked for beyond what was agreed to; everything when nothing was."""
    before = set(granted or ())
    return tuple(ask for ask in sorted(set(asks)) if ask not in before)


async def authorize_install(
    entry: Entry,
    version: Version,
    asks: tuple[Ask, ...],
    rules: Rules,
    *,
    granted: tuple[Ask, ...] | None,
    confirm: Confirm,
    warnings: tuple[str, ...] = (),
    locked: bool = False,
    ignore_age: bool = False,
) -> Consent:
    """The one way in: for the screen, the command line, a link and a lock file alike.

    Args:
        entry: the plugin, from a verified catalogue.
        version: the version to install.
        asks: what it asks for.
        rules: what is allowed here and now.
        granted: what was agreed to for the version that is installed; None for a new plugin, and for one that
            came from another marketplace.
        confirm: asks the user; not called when an update asks for nothing more.
        warnings: what should be known of it beside what the rules say.
        locked: a lock file names exactly this version: it may be yanked or young.
        ignore_age: the user chose not to wait for this plugin.

    Raises:
        ConsentError: it must not come in, or the user did not agree.
    """
    obstacles = rules.obstacles(entry, version, locked=locked, ignore_age=ignore_age)
    if obstacles:
        raise ConsentError(
            f"{entry.id} {version.version} cannot be installed",
            detail=" ".join(obstacle.reason for obstacle in obstacles),
            hint=obstacles[0].hint or "Nothing was changed.",
        )
    more = more_than(granted, asks)
    if more or granted is None:
        known = (*warnings, *rules.warnings(entry, version))
        request = Request(entry.id, version.version, asks, more, granted is not None, known)
        if await confirm(request) is not True:
            raise ConsentError(
                f"{entry.id} was not installed", detail="You did not agree to what it asks for."
            )
    return Consent(grant_hash(asks, version.artefact.sha256, version.requirements_sha256), asks)


def _shown(text: str) -> str:
    """One line, safe to show. Of a long text both ends: what counts may stand last."""
    line = safe_text(text, single_line=True)
    if len(line) <= _SHOWN:
        return line
    return f"{line[: _SHOWN // 2]} … {line[-_SHOWN // 2 :]} ({len(line)} characters)"
