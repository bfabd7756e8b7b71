"""A provider with every way to sign in, for tests in child processes, which install a copy of this.

The copy has the addresses of the servers of a test in place of the names between at signs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncGenerator, Sequence

import httpx

from jackfield import (
    ApiKey,
    AuthMethod,
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Form,
    FormField,
    Model,
    OAuthCode,
    OAuthDevice,
    Option,
    Plugin,
    Provider,
    ProviderError,
    StreamEvent,
    TextDelta,
    When,
)

SERVICE = "@SERVICE@"
ISSUER = "@ISSUER@"
CLIENT = "jackfield-tests"
SCOPES = ("openid", "offline_access")


class Vault(Provider):
    """Asks its server with whatever signs in; each model is another ending."""

    name = "vault"
    title = "Vault"
    known_models = (Model("echo"), Model("refuse"), Model("crash"))

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        await _ask("models", credential)
        return self.known_models

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent, None]:
        token = _token(credential)
        said = await _ask(request.model, credential)
        if request.model == "crash":
            _crash(token)
        yield TextDelta(said)
        yield Finished()


def _token(credential: Credential | None) -> str:
    if credential is None:
        return ""
    password = credential.secrets.get("password")
    return credential.token or (password.get_secret_value() if password else "")


def _crash(token: str) -> None:
    """Fail in every place where nobody catches it, each time with the secret in the message and at hand."""

    def fail(where: str = "") -> None:
        raise ZeroDivisionError(f"no way out {where} with {token}")

    thread = threading.Thread(target=fail, args=("of a thread",))
    thread.start()
    thread.join()
    asyncio.get_running_loop().call_soon(fail, "of the loop")
    logging.getLogger("vault").warning("logged %s", token)
    if "textual" in sys.modules:
        from textual._context import active_app

        active_app.get().call_later(fail, "of the app")
    fail("of the stream")


async def _ask(path: str, credential: Credential | None) -> str:
    headers = {"Authorization": f"Bearer {_token(credential)}"}
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - plain http
        answer = await client.get(f"{SERVICE}/{path}", headers=headers)
    said = json.loads(answer.text)["said"]
    if answer.status_code == 401:
        raise ProviderError(ErrorKind.AUTH, "Vault refused the key", detail=said, hint="Use another.")
    if answer.status_code != 200:
        raise ProviderError(ErrorKind.SERVER, "Vault failed", detail=said)
    return str(said)


class VaultPlugin(Plugin):
    """Signs in by key, by form, by page and by code."""

    name = "vault"
    version = "1.0"
    summary = "Keeps what it is told"

    def auth_methods(self) -> Sequence[AuthMethod]:
        region = FormField(
            name="region", kind="select", default="eu", options=(Option(value="eu"), Option(value="us"))
        )
        return [
            ApiKey(name="key", env=("VAULT_KEY",), key_url="https://vault.example/keys"),
            Form(
                name="form",
                label="Name and password",
                fields=(
                    region,
                    FormField(name="zone", label="Zone", when=When(field="region", equals="us")),
                    FormField(name="password", kind="secret", label="Password", minimum=8),
                    FormField(name="retries", kind="number", label="Retries", default=3, maximum=9),
                    FormField(name="fast", kind="boolean", label="Fast"),
                ),
            ),
            OAuthCode(
                name="page",
                label="Sign in at Vault",
                client_id=CLIENT,
                issuer=ISSUER,
                scopes=SCOPES,
                extra_parameters={"prompt": "consent"},
            ),
            OAuthDevice(name="device", label="With a code", client_id=CLIENT, issuer=ISSUER, scopes=SCOPES),
        ]

    def providers(self) -> Sequence[Provider]:
        return [Vault()]
