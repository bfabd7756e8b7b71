"""What an authorization server answered: the object in it, or an error in plain words and without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from registry.oauth.errors import OAuthError, is_temporary, refusal
from registry.text import safe_text

_PASSING = frozenset({408, 425, 429})
_SHORTEST_SECRET = 4  # what is shorter may be part of any word


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came."""

    host: str
    status: int
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether it says that all went well."""
        return 200 <= self.status < 300

    @property
    def will_pass(self) -> bool:
        """Whether it says that another time may be better."""
        return self.status in _PASSING or self.status >= 500


class NotOAuthError(OAuthError):
    """What answered is no authorization server, or not at this address."""


def read_answer(answer: Answer, hidden: Iterable[str]) -> dict[str, Any]:
    """The object that an endpoint answered, an empty one for an empty body.

    Args:
        answer: a token response (RFC 6749, 5) or of the same form.
        hidden: the secrets that were sent: a server may quote them.

    Raises:
        OAuthError: the server refused or failed.
        NotOAuthError: it is no OAuth that it speaks, such as the login page of a hotel.
    """
    said = _json_object(answer.body or b"{}")
    if said is None:
        raise _trouble(answer)
    error = said.get("error")
    # Some answer 200 with an error. A server that fails is not believed when it says that a grant is void.
    if isinstance(error, str) and error and (not answer.will_pass or is_temporary(error)):
        raise refusal(error, _without(said.get("error_description"), hidden), host=answer.host)
    if answer.is_good:
        return said
    raise _trouble(answer, _without(_message(said), hidden))


def read_document(answer: Answer) -> dict[str, Any]:
    """The object at an address that may have none.

    Raises:
        NotOAuthError: there is none.
        OAuthError: the server failed.
    """
    said = _json_object(answer.body)
    if said is None or not answer.is_good:
        raise _trouble(answer)
    return said


def _trouble(answer: Answer, said: str = "") -> OAuthError:
    if answer.will_pass:
        return OAuthError(
            f"{answer.host} {'is busy' if answer.status == 429 else 'failed'} ({answer.status})",
            detail=safe_text(said, limit=300, single_line=True),
            hint="Try again in a few minutes.",
            temporary=True,
        )
    if said:
        return OAuthError(
            f"{answer.host} refused the sign-in ({answer.status})",
            detail=safe_text(said, limit=300, single_line=True),
            hint="Sign in again.",
        )
    return NotOAuthError(
        f"{answer.host} did not answer as a sign-in server does ({answer.status})",
        hint="A proxy or a login page of the network may be in between. Try again later.",
        temporary=True,
    )


def _message(said: dict[str, Any]) -> object:
    """The words of a server whose errors are not those of the RFC."""
    error = said.get("error")
    return error.get("message") if isinstance(error, dict) else said.get("message")


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _without(text: object, hidden: Iterable[str]) -> str:
    if not isinstance(text, str):
        return ""
    for secret in sorted(
        {secret for secret in hidden if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True
    ):
        text = text.replace(secret, "[secret]")
    return text
