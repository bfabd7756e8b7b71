"""What went wrong in a plugin's process, as the errors that the app shows."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from registry.errors import PluginError
from registry.provider import ErrorKind, ProviderError
from registry.runtimes.peer_errors import PeerError, RemoteFault
from registry.text import safe_text

_AGAIN = "Retry: it is started again. If that goes on, switch the plugin off or tell its author."


def plugin_error(error: PeerError | RemoteFault) -> PluginError:
    """The error of a hook, a command or a start."""
    if isinstance(error, RemoteFault):
        return PluginError(**_texts(error.data))
    return PluginError(error.reason, detail=error.last_lines)


def provider_error(title: str, error: PeerError | RemoteFault) -> ProviderError:
    """The error of a provider.

    Args:
        title: how people call the provider.
        error: what happened.
    """
    if isinstance(error, PeerError) and error.intended:
        hint = "Switch it on again, or choose another model; then retry."
        return ProviderError(ErrorKind.CONNECTION, f"{title} was switched off while it answered", hint=hint)
    if isinstance(error, PeerError):
        kind = ErrorKind.CONNECTION if error.ended else ErrorKind.TIMEOUT
        what = "stopped unexpectedly" if error.ended else "did not answer"
        return ProviderError(kind, f"{title} {what}", detail=error.detail, hint=_AGAIN)
    data = error.data
    named = _text(data, "kind", 100)
    if named not in set(ErrorKind):
        told = _texts(data)
        detail = "\n".join(filter(None, (told["title"], told["detail"])))
        return ProviderError(ErrorKind.PROTOCOL, f"{title} failed in a way it should not", detail=detail)
    return ProviderError(
        ErrorKind(named),
        **_texts(data),
        status=data["status"] if type(data.get("status")) is int else None,
        retry_after_s=_seconds(data.get("retry_after_s")),
        request_id=_text(data, "request_id", 200),
    )


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    title = safe_text(_text(data, "title", 500), limit=500)
    return {
        "title": title or "The plugin raised an error without a text",
        "detail": _text(data, "detail", 4000),
        "hint": _text(data, "hint", 1000),
    }


def _seconds(value: object) -> float | None:
    """A time to wait, if it is one: JSON also has numbers of any length, and `1e999` is read as infinite."""
    is_wait = type(value) in (int, float) and 0 <= value <= sys.float_info.max  # type: ignore[operator]
    return float(value) if is_wait else None  # type: ignore[arg-type]


def _text(data: Mapping[str, Any], name: str, limit: int) -> str:
    value = data.get(name)
    return safe_text(value, limit=limit) if isinstance(value, str) else ""
