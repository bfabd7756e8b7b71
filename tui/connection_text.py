"""Accounts and ways to sign in, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.text import counted, safe_text
from tui.states import Look

if TYPE_CHECKING:
    from registry.connections import Connection
    from registry.handle import PluginHandle

METHOD_WORDS = {
    "api_key": "API key",
    "oauth_code": "Sign in with the browser",
    "oauth_device": "Sign in with a code",
    "form": "Fill in a form",
    "no_auth": "Nothing to sign in to",
}
"""What the types of auth methods are called where a plugin gives no name."""
STORE_WORDS = {
    "keyring": "keyring",
    "file": "encrypted file",
    "session": "this session",
    "environment": "environment",
}
"""Where secrets are, in the width of a column."""
KEPT_WORDS = {
    "keyring": "in the system's keyring",
    "file": "in the encrypted file",
    "session": "until the app ends",
    "environment": "in the environment",
}
"""Where secrets are, in a sentence."""

ACTIVE = Look("●", "active", "$success")
IDLE = Look("○", "", "$foreground-muted")
NEEDS_SIGN_IN = Look("✗", "sign in again", "$error")

_DAY_S = 86_400
_LIMIT = 60


def plugin_title(handle: PluginHandle) -> str:
    """How people call what a plugin connects to: its first provider's title, else its own name."""
    providers = handle.manifest.providers
    return safe_text(providers[0].title if providers else handle.name, single_line=True, limit=_LIMIT)


def method_title(data: Mapping[str, Any]) -> str:
    """What an auth method is called, from its JSON form."""
    kind = str(data.get("type", ""))
    label = safe_text(str(data.get("label") or ""), single_line=True, limit=_LIMIT)
    return label or METHOD_WORDS.get(kind, "Sign in")


def expiry(connection: Connection, now: float) -> str:
    """When an account stops being good, in words.

    Args:
        connection: whose.
        now: Unix seconds.
    """
    if connection.needs_sign_in or connection.lapsed(now):
        return "sign in again"
    if connection.expires_at is None:
        return "does not expire"
    if connection.renewable:
        return "renews itself"
    return f"for {_span(connection.expires_at - now)}"


def countdown(seconds: float) -> str:
    """The time that is left, as minutes and seconds."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02}"


def account_look(connection: Connection, now: float) -> Look:
    """How the state of an account is shown."""
    if connection.needs_sign_in or connection.lapsed(now):
        return NEEDS_SIGN_IN
    return ACTIVE if connection.active else IDLE


def _span(seconds: float) -> str:
    for size, unit in ((_DAY_S, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(int(seconds // size), unit)
    return "less than a minute"
