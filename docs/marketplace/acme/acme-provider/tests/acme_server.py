"""A small Acme: an authorization server that agrees to everything, and its models.

Run `python acme_server.py PORT`.

Authorization code with S256 (RFC 6749, RFC 7636), refresh tokens that are used once, discovery (RFC 8414).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN_S = 3600
MODEL = {"id": "anvil-1", "title": "Anvil 1", "context": 8192}


class AcmeServer(ThreadingHTTPServer):
    """Acme on this machine; port 0 is any free one."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.asked: list[dict[str, Any]] = []
        """The bodies that /chat was sent."""


@contextmanager
def running(port: int = 0) -> Iterator[AcmeServer]:
    """A server in a thread, until the end of the block."""
    server = AcmeServer(port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    server: AcmeServer

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/.well-known/oauth-authorization-server":
            self._answer(self._metadata())
        elif url.path == "/authorize":
            self._authorize({name: values[0] for name, values in parse_qs(url.query).items()})
        elif url.path == "/models" and self._is_signed_in():
            self._answer({"models": [MODEL]})
        else:
            self._answer({"error": "not found"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/token":
            self._token({name: values[0] for name, values in parse_qs(body).items()})
        elif self.path == "/chat" and self._is_signed_in():
            self._chat(json.loads(body))

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.server.url,
            "authorization_endpoint": f"{self.server.url}/authorize",
            "token_endpoint": f"{self.server.url}/token",
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": True,
        }

    def _authorize(self, asked: dict[str, str]) -> None:
        code = secrets.token_urlsafe(16)
        self.server.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.server.url})
        self.send_response(302)
        self.send_header("location", f"{asked['redirect_uri']}?{back}")
        self.send_header("content-length", "0")
        self.end_headers()

    def _token(self, form: dict[str, str]) -> None:
        if form["grant_type"] == "refresh_token":
            good = form["refresh_token"] in self.server.refresh_tokens
            self.server.refresh_tokens.discard(form["refresh_token"])
        else:
            asked = self.server.codes.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            good = bool(asked) and challenge == asked["code_challenge"]
        if not good:
            self._answer({"error": "invalid_grant"}, 400)
            return
        token, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.server.tokens.add(token)
        self.server.refresh_tokens.add(refresh)
        self._answer(
            {"access_token": token, "refresh_token": refresh, "token_type": "Bearer", "expires_in": TOKEN_S}
        )

    def _is_signed_in(self) -> bool:
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.server.tokens:
            return True
        self._answer({"error": "sign in"}, 401)
        return False

    def _chat(self, asked: dict[str, Any]) -> None:
        self.server.asked.append(asked)
        words = asked["messages"][-1]["text"].split()
        lines: list[dict[str, Any]] = [{"text": f"{word} "} for word in ["Acme", "heard:", *words]]
        lines.append({"tokens": {"input": len(words), "output": len(words) + 2}})
        self._send("".join(json.dumps(line) + "\n" for line in lines).encode(), 200, "application/x-ndjson")

    def _answer(self, data: object, status: int = 200) -> None:
        self._send(json.dumps(data).encode(), status, "application/json")

    def _send(self, data: bytes, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    AcmeServer(int(sys.argv[1]) if len(sys.argv) > 1 else 8750).serve_forever()
