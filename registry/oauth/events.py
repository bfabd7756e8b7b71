"""What happens during a sign-in, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from registry.auth import Credential


@dataclass(frozen=True, slots=True)
class ShowPage:
    """The user has to open a page.

    Attributes:
        url: the page; https, or http on this machine.
        host: whose page it is, to be shown before a browser is opened. In ASCII, so that no letter of another
            script can pass for a Latin one.
        listening: whether the answer arrives by itself from a browser on this machine. If not, the user
            pastes it (`CodeSignIn.paste`), as can be done at any time.
        lasts_s: seconds until the sign-in gives up.
    """

    url: str
    host: str
    listening: bool
    lasts_s: float


@dataclass(frozen=True, slots=True)
class ShowCode:
    """The user has to type a code on a page, on any device (RFC 8628, 3.3).

    Attributes:
        user_code: the code, of printable characters only.
        verification_url: the page; https, or http on this machine.
        complete_url: the page with the code in it, if the server has one: for a QR code or a browser.
        lasts_s: seconds until the code is void.
    """

    user_code: str
    verification_url: str
    complete_url: str | None
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is being waited for, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The end of a sign-in that succeeded.

    Attributes:
        credential: not stored anywhere yet.
        warning: what the user should know, such as that fewer rights were granted than asked for; or "".
    """

    credential: Credential
    warning: str = ""


SignInEvent: TypeAlias = ShowPage | ShowCode | Waiting | SignedIn
