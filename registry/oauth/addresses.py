"""Which addresses a sign-in may use: https, or http on this machine."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from registry.auth import is_loopback
from registry.oauth.errors import OAuthError
from registry.text import safe_text

_LONGEST = 8192


def check_address(url: str, what: str) -> str:
    """The address, when it is https or points at this machine (RFC 8252, 8.3; RFC 8414, 2).

    Args:
        url: an absolute address.
        what: what the address is for, for the message.

    Raises:
        OAuthError: it is neither, or holds a user name or characters that no address has.
    """
    problem = _problem(url)
    if problem:
        raise OAuthError(
            f"The {what} cannot be used",
            detail=f"{safe_text(url, limit=200, single_line=True)}: {problem}",
            hint="Tell the author of the plugin or of the server.",
        )
    return url


def is_safe_address(url: str) -> bool:
    """Whether `check_address` takes it."""
    return not _problem(url)


def host_of(url: str) -> str:
    """The host of an address, with the port if it names one; in ASCII."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port}" if parts.port else shown


def with_query(url: str, parameters: dict[str, str]) -> str:
    """The address with these parameters; those that it has are kept unless named here (RFC 6749, 3.1)."""
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in parameters
    ]
    query = urlencode([*kept, *parameters.items()])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _problem(url: str) -> str:
    if len(url) > _LONGEST:
        return "it is too long"
    if not url.isascii() or any(character <= " " or character in '"<>\\^`{|}\x7f' for character in url):
        return "it holds characters that no address has"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        return "it is no address"
    return _problem_of_parts(parts)


def _problem_of_parts(parts: SplitResult) -> str:
    if not parts.hostname:
        return "it names no host"
    if "@" in parts.netloc:
        return "it names a user"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return ""
    return "it is not https"
