"""Addresses of servers as people write them."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from jackfield import ErrorKind, ProviderError, safe_text

_ENDINGS: Final = ("/chat/completions", "/models", "/responses")
_LOCAL_NAMES: Final = ("localhost", "::1", "0.0.0.0")  # noqa: S104 - nothing is bound to it


def complete_address(given: str, template: str, *, name: str) -> str:
    """The base of a server's paths, without a slash at its end.

    Args:
        given: what the user wrote: a server alone, or with a path, or the whole address of one request.
        template: the whole address, in which `{url}` stands for the server. What follows it is the usual
            path, which another path that the user wrote takes precedence over.
        name: how the user calls the provider, for titles of errors.

    Raises:
        ProviderError: it is no address.
    """
    if "{url}" not in template:
        return template.rstrip("/")
    parts = _split(given.strip())
    if parts is None:
        raise ProviderError(
            ErrorKind.BAD_REQUEST,
            f"The address of {name} is none",
            detail=safe_text(f"It is {given!r}.", limit=200),
            hint="Write it as in https://example.org/v1, in the form or in the option `url`.",
        )
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending)
    usual = template.partition("{url}")[2]
    if usual.startswith(path):
        path = usual
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))


def _split(address: str) -> SplitResult | None:
    """The parts of an address, if it is one of a web server."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # which raises where it is no number
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def is_local(url: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    return host in _LOCAL_NAMES or host.startswith("127.") or host.endswith(".localhost")
