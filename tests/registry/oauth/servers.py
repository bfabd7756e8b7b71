"""Authorization servers that nobody here wrote, and a person with a browser who agrees or refuses.

`oidc_server` starts oidc-provider, `mock_server` oauth2-mock-server with answers that a test dictates. A
`Browser` is synchronous, for tests of any kind; within an event loop call it with `asyncio.to_thread`.
"""

from __future__ import annotations

import json
import shlex
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from registry.auth import OAuthCode, OAuthDevice
from tests.node_servers import PORT, NodeServer, node_server

CLIENT_ID = "jackfield-tests"
"""The client that `oidc_server` knows; public, for codes, devices and refreshes."""
PASTE_URI = "https://app.example.com/paste"
"""A redirect of that client which leads to no listener."""
SCOPES = ("openid", "offline_access")
PERSON = "alice"

CERTIFICATES = ssl.create_default_context()
"""For every client of a test, since reading them takes a while."""

_MAX_STEPS = 20


@dataclass(frozen=True, slots=True)
class AuthServer:
    """An authorization server that runs.

    Attributes:
        issuer: its address, without a slash at the end.
    """

    node: NodeServer
    issuer: str

    def at(self, path: str) -> str:
        """The address of a path of it."""
        return self.issuer + path

    def count(self, line: str) -> int:
        """How often oidc-provider has logged this line, such as "granted refresh_token" or "revoked"."""
        return self.node.output().splitlines().count(line)

    def tell(self, *answers: Mapping[str, Any]) -> None:
        """What the token endpoint of the mock answers next, in this order; see mock_oauth.mjs."""
        httpx.post(
            self.at("/told"), content=json.dumps(answers), trust_env=False, verify=CERTIFICATES
        ).raise_for_status()

    def knows(self, access_token: str) -> bool:
        """Whether an access token is good, as its userinfo endpoint of oidc-provider sees it."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return (
            httpx.get(self.at("/me"), headers=headers, trust_env=False, verify=CERTIFICATES).status_code
            == 200
        )


@contextmanager
def oidc_server(*, access_token_s: float = 300, device_code_s: float = 600) -> Iterator[AuthServer]:
    """oidc-provider with discovery, registration, device flow, rotation of refresh tokens and revocation."""
    told = json.dumps({"access_token_s": access_token_s, "device_code_s": device_code_s})
    with node_server("oidc.mjs", PORT, environment={"JACKFIELD_OIDC": told}) as node:
        yield AuthServer(node, node.url)


@contextmanager
def mock_server() -> Iterator[AuthServer]:
    """oauth2-mock-server; its token endpoint answers as `AuthServer.tell` says."""
    with node_server("mock_oauth.mjs", PORT) as node:
        yield AuthServer(node, node.url)


def code_method(server: AuthServer, **fields: Any) -> OAuthCode:
    """A sign-in by page at `oidc_server`, known by its issuer alone; `fields` go on top."""
    said = {"client_id": CLIENT_ID, "issuer": server.issuer, "scopes": SCOPES, **fields}
    # without the prompt, oidc-provider gives no refresh token
    return OAuthCode.model_validate({"extra_parameters": {"prompt": "consent"}, **said})


def device_method(server: AuthServer, **fields: Any) -> OAuthDevice:
    """A sign-in by device code at `oidc_server`, known by its issuer alone; `fields` go on top."""
    said = {"client_id": CLIENT_ID, "issuer": server.issuer, "scopes": SCOPES, **fields}
    return OAuthDevice.model_validate(said)


def agreeing_browser() -> str:
    """A value of the variable BROWSER: a program that opens a page of `oidc_server`, signs in and agrees."""
    script = Path(__file__).with_name("agreeing_browser.py")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} %s"


class Browser:
    """A person with a browser of their own: signs in as `PERSON`, then agrees or refuses.

    Args:
        server: the server, or its issuer.
    """

    def __init__(self, server: AuthServer | str) -> None:
        self._issuer = server if isinstance(server, str) else server.issuer
        self._client = httpx.Client(follow_redirects=False, timeout=30, trust_env=False, verify=CERTIFICATES)

    def approve(self, url: str) -> str:
        """Sign in and agree; the address that the server then sends the browser to, which is not opened."""
        return self._walk(url, agrees=True)

    def deny(self, url: str) -> str:
        """Sign in and refuse; the address that the server then sends the browser to."""
        return self._walk(url, agrees=False)

    def approve_device(self, complete_url: str) -> None:
        """Confirm the code in the address, sign in and agree."""
        self._walk(complete_url, agrees=True, device=True)

    def deny_device(self, complete_url: str) -> None:
        """Refuse the code in the address."""
        self._walk(complete_url, agrees=False, device=True)

    def open(self, url: str) -> httpx.Response:
        """Open a page, such as the address that `approve` gave: whoever listens there gets the answer."""
        return self._client.get(url)

    def close(self) -> None:
        """Close the browser."""
        self._client.close()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk(self, url: str, *, agrees: bool, device: bool = False) -> str:
        answer = self._client.get(url)
        for _ in range(_MAX_STEPS):
            if answer.is_redirect:
                url = urljoin(str(answer.url), answer.headers["location"])
                if not url.startswith(self._issuer + "/"):
                    return url
                answer = self._client.get(url)
                continue
            page = _Page(answer.text)
            if page.action is None:
                if device and answer.status_code == 200:
                    return str(answer.url)
                raise AssertionError(f"no form at {answer.url} ({answer.status_code}): {answer.text[:2000]}")
            asked = device and "confirm" in page.hidden
            answer = self._submit(page, str(answer.url), agrees=agrees)
            if asked and not agrees:
                return str(answer.url)  # the server asks for another code then
        raise AssertionError(f"the pages do not end; the last one is {answer.url}")

    def _submit(self, page: _Page, url: str, *, agrees: bool) -> httpx.Response:
        fields = dict(page.hidden)
        if "login" in page.inputs:
            fields |= {"login": PERSON, "password": "any"}
        elif not agrees and page.abort:
            return self._client.get(urljoin(url, page.abort))
        elif not agrees and fields.pop("confirm", ""):
            fields["abort"] = "yes"
        return self._client.post(urljoin(url, page.action or ""), data=fields)


class _Page(HTMLParser):
    """The first form of a page, and the link that refuses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.abort: str | None = None
        self.hidden: dict[str, str] = {}
        self.inputs: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action = named.get("action", "")
        elif tag == "input" and "name" in named:
            self.inputs.add(named["name"])
            if named.get("type") == "hidden":
                self.hidden[named["name"]] = named.get("value", "")
        elif tag == "a" and named.get("href", "").endswith("/abort"):
            self.abort = named["href"]
