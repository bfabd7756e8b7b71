"""Failures of a sign-in, in plain words."""

from __future__ import annotations

from registry.errors import JackfieldError
from registry.text import safe_text


class OAuthError(JackfieldError):
    """A sign-in, a refresh or a revocation failed.

    Attributes:
        error: the code of the RFC that the server gave, such as "invalid_grant"; "" if it gave none.
        temporary: trying again later may help. Only an error "invalid_grant" of a refresh means that the
            refresh token is void; no other failure is a reason to drop it.
    """

    def __init__(
        self, title: str, *, detail: str = "", hint: str = "", error: str = "", temporary: bool = False
    ) -> None:
        super().__init__(title, detail=detail, hint=hint)
        self.error = error
        self.temporary = temporary


_AGAIN = "Sign in again."
_ASK_AUTHOR = "Tell the author of the plugin; the sign-in is declared wrongly."
_LATER = "Try again in a few minutes."

# RFC 6749 4.1.2.1 and 5.2, RFC 8628 3.5, RFC 7009 2.2.1, RFC 7591 3.2.2
_WORDS: dict[str, tuple[str, str]] = {
    "access_denied": ("The sign-in was refused", "Sign in again and allow the access."),
    "expired_token": ("The code has expired", _AGAIN),
    "invalid_grant": ("The sign-in is no longer valid", _AGAIN),
    "invalid_client": ("The server does not know this application", _ASK_AUTHOR),
    "unauthorized_client": ("The server does not let this application sign in this way", _ASK_AUTHOR),
    "unsupported_grant_type": (
        "The server does not offer this way to sign in",
        "Choose another way to sign in.",
    ),
    "unsupported_response_type": (
        "The server does not offer this way to sign in",
        "Choose another way to sign in.",
    ),
    "invalid_request": ("The server did not understand the request", _ASK_AUTHOR),
    "invalid_scope": ("The server does not know a right that was asked for", _ASK_AUTHOR),
    "invalid_redirect_uri": ("The server does not accept the address for the answer", _ASK_AUTHOR),
    "invalid_client_metadata": ("The server did not register this application", _ASK_AUTHOR),
    "server_error": ("The server failed", _LATER),
    "temporarily_unavailable": ("The server is not available now", _LATER),
    "slow_down": ("The server asks for fewer requests", _LATER),
    "authorization_pending": ("The sign-in is not finished", "Finish it in the browser."),
}
_TEMPORARY = frozenset({"server_error", "temporarily_unavailable", "slow_down", "authorization_pending"})


def is_temporary(error: str) -> bool:
    """Whether a code of the RFC means that trying again may help."""
    return error in _TEMPORARY


def refusal(error: str, description: str = "", *, host: str = "") -> OAuthError:
    """The error that stands for what a server answered.

    Args:
        error: the RFC's code.
        description: the server's own words; made safe here, secrets have to be out already.
        host: who answered.
    """
    code = safe_text(error, limit=60, single_line=True)
    title, hint = _WORDS.get(error, (f"The server refused the sign-in ({code})", "Try again later."))
    said = safe_text(description, limit=300, single_line=True)
    detail = ": ".join(part for part in (host, said) if part)
    return OAuthError(title, detail=detail, hint=hint, error=code, temporary=is_temporary(error))
