"""Signing in with OAuth, without a screen: own code on httpx, so that each step follows its RFC.

A sign-in is a sequence of events (`CodeSignIn.events`, `DeviceSignIn.events`) that a screen or the command
line shows; the last one holds the credential. Closing the sequence closes all that it opened.

Which step follows which document:

| step | document |
|---|---|
| authorization code, errors, refresh | RFC 6749 |
| proof key, S256 always | RFC 7636 |
| listener on 127.0.0.1 | RFC 8252 |
| the `iss` of a callback | RFC 9207 |
| device authorization | RFC 8628 |
| revocation | RFC 7009 |
| discovery of the endpoints | RFC 8414 |
| registration of a client | RFC 7591 |
"""

from registry.oauth.browser import has_display, open_browser
from registry.oauth.code import CodeSignIn
from registry.oauth.device import DeviceSignIn
from registry.oauth.errors import OAuthError
from registry.oauth.events import ShowCode, ShowPage, SignedIn, SignInEvent, Waiting
from registry.oauth.qr import qr_lines
from registry.oauth.tokens import refresh_credential, revoke_credential

__all__ = [
    "CodeSignIn",
    "DeviceSignIn",
    "OAuthError",
    "ShowCode",
    "ShowPage",
    "SignInEvent",
    "SignedIn",
    "Waiting",
    "has_display",
    "open_browser",
    "qr_lines",
    "refresh_credential",
    "revoke_credential",
]
