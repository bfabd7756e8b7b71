"""Where a server's endpoints are, and who we are to it: discovery (RFC 8414) and registration (RFC 7591)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from registry.oauth.addresses import check_address
from registry.oauth.answers import NotOAuthError
from registry.oauth.endpoint import ClientProof, get_json, post_json
from registry.oauth.errors import OAuthError
from registry.text import safe_text

if TYPE_CHECKING:
    import httpx

    from registry.auth import OAuthCode, OAuthDevice

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
"""The name of the device grant (RFC 8628, 3.4)."""

_CLIENT_NAME = "Jackfield"


@dataclass(frozen=True, slots=True)
class Server:
    """What is known of an authorization server; "" for an endpoint that it does not have.

    Attributes:
        issuer: compared with the `iss` of a callback; "" when it is not known.
        names_itself: the server says that each callback has an `iss` (RFC 9207, 3), so one without is forged.
        takes_proof: it takes S256, or does not say which proofs it takes (RFC 8414, 2).
    """

    issuer: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    registration_endpoint: str = ""
    names_itself: bool = False
    takes_proof: bool = True


_ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
)


async def find_server(method: OAuthCode | OAuthDevice, client: httpx.AsyncClient) -> Server:
    """The server of an auth method: as it is declared, else as the issuer describes it.

    What the method declares wins. The issuer is asked only when an endpoint or the client is missing.

    Raises:
        OAuthError: the server cannot be found, or says of itself what must not be.
    """
    server = _server_of(vars(method), method.issuer)
    needed = _needed(method)
    if method.issuer and not all(getattr(server, name) for name in needed):
        server = _server_of(vars(method), method.issuer, base=await discover(method.issuer, client))
    for name in _ENDPOINTS:
        address, what = getattr(server, name), name.replace("_", " ").replace("endpoint", "address")
        if address:
            check_address(address, what)
        elif name in needed:
            raise OAuthError(
                f"The sign-in has no {what}",
                detail="Neither the plugin nor the server names one.",
                hint="Choose another way to sign in.",
            )
    if method.type == "oauth_code" and not server.takes_proof:
        raise OAuthError(
            "The server does not protect the sign-in",
            detail="It does not support the proof S256 (RFC 7636).",
            hint="Choose another way to sign in.",
        )
    return server


async def discover(issuer: str, client: httpx.AsyncClient) -> Server:
    """What an issuer says of itself (RFC 8414, 3), or as OpenID Connect puts it.

    Raises:
        OAuthError: it says nothing, or speaks for another issuer (RFC 8414, 3.3).
    """
    check_address(issuer, "address of the issuer")
    for address in well_known(issuer):
        try:
            document = await get_json(client, address)
        except NotOAuthError:
            continue
        return _read_metadata(document, issuer)
    raise OAuthError(
        "The server does not say how to sign in",
        detail=safe_text(issuer, limit=200, single_line=True),
        hint="Choose another way to sign in.",
    )


def well_known(issuer: str) -> list[str]:
    """Where an issuer may describe itself, the first that is there counts (RFC 8414, 3.1 and 5)."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    root = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    places = [
        f"{root}/.well-known/oauth-authorization-server{path}",
        f"{root}/.well-known/openid-configuration{path}",
        f"{root}{path}/.well-known/openid-configuration",
    ]
    return list(dict.fromkeys(places))


async def register(
    server: Server,
    client: httpx.AsyncClient,
    *,
    redirect_uris: Sequence[str] = (),
    scopes: Sequence[str] = (),
) -> ClientProof:
    """A client of our own at a server, made now (RFC 7591, 3); without redirects it is one for a device.

    Raises:
        OAuthError: the server does not register, or not like this.
    """
    grants = ["authorization_code"] if redirect_uris else [DEVICE_GRANT]
    asked: dict[str, Any] = {
        "client_name": _CLIENT_NAME,
        "application_type": "native",  # OpenID Connect's; without it, redirects to http are refused
        "redirect_uris": list(redirect_uris),
        "grant_types": [*grants, "refresh_token"],
        "response_types": ["code"] if redirect_uris else [],
        "token_endpoint_auth_method": "none",
    }
    if scopes:
        asked["scope"] = " ".join(scopes)
    answer = await post_json(client, server.registration_endpoint, asked)
    client_id, secret = answer.get("client_id"), answer.get("client_secret")
    if not isinstance(client_id, str) or not client_id:
        raise OAuthError(
            "The server did not register this application", hint="Choose another way to sign in."
        )
    public = answer.get("token_endpoint_auth_method", "none") == "none"
    return ClientProof(client_id, secret if isinstance(secret, str) and not public else "")


def _needed(method: OAuthCode | OAuthDevice) -> set[str]:
    """The endpoints without which there is no sign-in."""
    needed = {"token_endpoint"}
    if method.type == "oauth_device":
        needed.add("device_authorization_endpoint")
        by_key = False
    else:
        needed.add("authorization_endpoint")
        by_key = method.exchange == "key"  # there the proof alone counts, and nobody is registered
    if not (method.client_id or by_key):
        needed.add("registration_endpoint")
    return needed


def _read_metadata(document: dict[str, Any], issuer: str) -> Server:
    if document.get("issuer") != issuer:
        raise OAuthError(
            "The server speaks for another one",
            detail=safe_text(
                f"{issuer} says that it is {document.get('issuer')}", limit=300, single_line=True
            ),
            hint="Do not sign in here; tell the author of the plugin.",
        )
    methods = document.get("code_challenge_methods_supported")
    described = Server(
        issuer=issuer,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        takes_proof=not isinstance(methods, list) or "S256" in methods,
    )
    return _server_of(document, issuer, base=described)


def _server_of(named: Mapping[str, Any], issuer: str, *, base: Server | None = None) -> Server:
    """A server with the endpoints that are named, by a method or by a server, in place of those of `base`."""
    endpoints = {name: named[name] for name in _ENDPOINTS if named.get(name) and isinstance(named[name], str)}
    return replace(base or Server(issuer), **endpoints)
