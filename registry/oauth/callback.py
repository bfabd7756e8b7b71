"""Reading the answer that comes back through the user's browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from registry.oauth.errors import OAuthError, refusal
from registry.oauth.proof import same

_CODE = re.compile(r"[\x20-\x7e]{1,8192}")  # RFC 6749, A.11
_MAX_FIELDS = 50


class StrayError(ValueError):
    """It is no answer to our request; the message says why, in one line for people."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the answer to our request has to have.

    Attributes:
        redirect_uri: where the browser is sent back to.
        state: the answer's `state`; "" when the server sends none back, and the path is what only we know.
        issuer: the answer's `iss`, if it has one (RFC 9207); "" when it is not known.
        names_itself: an answer without `iss` is forged.
    """

    redirect_uri: str
    state: str
    issuer: str = ""
    names_itself: bool = False


def read_callback(query: str, expected: Expected, *, state_required: bool = True) -> str:
    """The code in the query of a callback (RFC 6749, 4.1.2).

    Args:
        query: what stands after the question mark.
        expected: what to compare with, in constant time.
        state_required: whether an answer without a state is stray.

    Raises:
        StrayError: it is not the answer to our request; the wait goes on.
        OAuthError: it is the answer, and the sign-in failed.
    """
    fields = _fields(query)
    _check_state(fields, expected, required=state_required)
    if "error" not in fields and "code" not in fields:
        raise StrayError("It holds neither a code nor an error.")
    _check_issuer(fields.get("iss"), expected)
    if "error" in fields:
        raise refusal(fields["error"], fields.get("error_description", ""))
    if not _CODE.fullmatch(fields["code"]):
        raise StrayError("Its code has characters that no code has.")
    return fields["code"]


def read_pasted(text: str, expected: Expected, *, bare_code: bool) -> str:
    """The code in what the user pasted: the address of the page that the browser ended on, or the code alone.

    Args:
        text: from the clipboard.
        expected: what to compare with.
        bare_code: whether a code alone is good; some servers show one, with or without `#state`.

    Raises:
        StrayError: it is neither, or of another sign-in.
        OAuthError: it is the answer, and the sign-in failed.
    """
    text = text.strip()
    if "://" in text or re.match(r"[a-z][a-z0-9+.-]*:/", text, re.IGNORECASE):
        return _read_address("".join(text.split()), expected, bare_code=bare_code)
    if not text or not bare_code:
        raise StrayError("Paste the whole address of the page that the browser ended on.")
    code, _, state = text.partition("#")
    if state and expected.state and not same(state, expected.state):
        raise StrayError("It belongs to another sign-in.")
    if not _CODE.fullmatch(code) or " " in code:
        raise StrayError("It is no code.")
    return code


def _read_address(address: str, expected: Expected, *, bare_code: bool) -> str:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise StrayError("It is no address.") from error
    wanted = urlsplit(expected.redirect_uri)
    if expected.redirect_uri and not same(
        f"{parts.scheme}://{parts.netloc}{parts.path}", f"{wanted.scheme}://{wanted.netloc}{wanted.path}"
    ):
        raise StrayError("It is not the page that the sign-in ends on.")
    return read_callback(parts.query, expected, state_required=not bare_code)


def _fields(query: str) -> dict[str, str]:
    try:
        fields = parse_qs(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise StrayError("It has too many fields.") from error
    if any(len(fields.get(name, ())) > 1 for name in ("code", "state", "iss", "error")):
        raise StrayError("It names a field twice.")  # RFC 6749, 3.1
    return {name: values[0] for name, values in fields.items()}


def _check_state(fields: dict[str, str], expected: Expected, *, required: bool) -> None:
    """RFC 6749, 10.12: an answer that does not hold our state may have been planted."""
    state = fields.get("state", "")
    if not expected.state or (not state and not required):
        return
    if not same(state, expected.state):
        raise StrayError("It belongs to another sign-in.")


def _check_issuer(given: str | None, expected: Expected) -> None:
    """RFC 9207, 2.4: an answer of another server must not be used."""
    if given is None and not expected.names_itself:
        return
    if expected.issuer and not same(given or "", expected.issuer):
        raise OAuthError(
            "The answer came from another server",
            detail="It does not name the server that was asked (RFC 9207).",
            hint="Sign in again; if it happens again, tell the author of the plugin.",
        )
