"""Refreshing from a real server: new, unchanged, failing, talking nonsense, silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry.catalogue import refresh as refreshing
from registry.catalogue.catalogue import Catalogue
from registry.catalogue.refresh import Refreshed, copy_file, refresh, refresh_if_due
from registry.catalogue.schema import Contents, Entry, ProviderFacts, write_contents
from registry.errors import JackfieldError
from registry.http import create_client
from registry.paths import Paths
from registry.settings import CatalogueSettings

NEWER = "2026-11-20"


def catalogue(day: str, name: str = "Fresh") -> bytes:
    facts = ProviderFacts({"m": Entry(name, 1000, chat=True)})
    return write_contents(Contents(day, {"acme": facts}))


@dataclass
class Server:
    """Answers with the same body, or says that nothing changed to who has its tag."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    etag: str = '"one"'
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    """The tag of each request; empty where there was none."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        tag = next((line[15:] for line in head.split("\r\n") if line.startswith("if-none-match: ")), "")
        self.asked.append(tag)
        if self.silent:
            await reader.read()
        else:
            unchanged = bool(tag) and tag == self.etag and self.status == 200
            status, body = (304, b"") if unchanged else (self.status, self.body)
            writer.write(
                f"HTTP/1.1 {status} X\r\nETag: {self.etag}\r\nConnection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(body=catalogue(NEWER))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/catalogue.json"
    async with listening:
        yield server


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "data", tmp_path / "cache")


async def ask(paths: Paths, server: Server) -> Refreshed:
    async with create_client(local=True) as client:
        return await refresh(paths, server.url, client)


def names(paths: Paths) -> list[str]:
    return [model.name for model in Catalogue.load(paths).chat_models("acme")]


async def test_a_newer_catalogue_takes_the_place_of_the_snapshot(server: Server, paths: Paths) -> None:
    assert await ask(paths, server) is Refreshed.REPLACED
    assert names(paths) == ["Fresh"]
    assert Catalogue.load(paths).date == NEWER


async def test_the_server_is_told_what_is_known_and_says_that_nothing_changed(
    server: Server, paths: Paths
) -> None:
    await ask(paths, server)
    assert await ask(paths, server) is Refreshed.UNCHANGED
    assert server.asked == ["", '"one"']
    assert names(paths) == ["Fresh"]


async def test_a_tag_of_one_server_is_not_told_to_another(server: Server, paths: Paths) -> None:
    await ask(paths, server)
    server.url += "?other"
    assert await ask(paths, server) is Refreshed.REPLACED
    assert server.asked == ["", ""]


async def test_an_older_catalogue_does_not_take_the_place_of_the_snapshot(
    server: Server, paths: Paths
) -> None:
    server.body = catalogue("2020-01-01")
    assert await ask(paths, server) is Refreshed.REPLACED
    assert names(paths) == []


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"", "status 500"),
        (301, b"", "status 301"),
        (200, b"<html>Welcome to the hotel</html>", "no catalogue"),
        (200, b"", "no catalogue"),
        (200, b'{"format": 9}', "no catalogue"),
        (200, b'{"format": 1, "date": "2026-11-20"}', "no catalogue"),
        (200, catalogue("9999-01-01"), "has not come yet"),
        (200, b" " * (refreshing.MAX_BYTES + 1), "larger than"),
        (304, b"", "there is no copy"),
    ],
)
async def test_what_cannot_be_used_leaves_the_copy_as_it_was(
    server: Server, paths: Paths, status: int, body: bytes, said: str
) -> None:
    await ask(paths, server)
    kept = copy_file(paths).read_bytes()
    server.status, server.body, server.etag = status, body, '"two"'
    if status == 304:
        server.url += "?unknown"
    with pytest.raises(JackfieldError) as caught:
        await ask(paths, server)
    assert said in caught.value.detail
    assert "catalogue.refresh = false" in caught.value.hint
    assert copy_file(paths).read_bytes() == kept
    assert names(paths) == ["Fresh"]


async def test_a_server_that_is_silent_is_given_up(
    server: Server, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "LIMIT_S", 0.2)
    server.silent = True
    with pytest.raises(JackfieldError, match="not refreshed"):
        await ask(paths, server)
    assert not copy_file(paths).exists()


async def test_a_server_that_is_not_there_is_an_error_that_says_so(server: Server, paths: Paths) -> None:
    server.url = "http://127.0.0.1:1/catalogue.json"
    with pytest.raises(JackfieldError) as caught:
        await ask(paths, server)
    assert "ConnectError" in caught.value.detail


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "catalogue": 3}'])
async def test_a_damaged_copy_counts_as_none(server: Server, paths: Paths, damage: bytes) -> None:
    await ask(paths, server)
    copy_file(paths).write_bytes(damage)
    assert names(paths) == []
    assert await ask(paths, server) is Refreshed.REPLACED
    assert server.asked == ["", ""]


async def test_nobody_is_asked_unless_a_server_is_named_and_refreshing_is_on(
    server: Server, paths: Paths
) -> None:
    assert await refresh_if_due(paths, CatalogueSettings()) is None
    assert await refresh_if_due(paths, CatalogueSettings(refresh=False, url=server.url)) is None
    assert server.asked == []


async def test_a_server_is_asked_once_a_day(server: Server, paths: Paths) -> None:
    settings = CatalogueSettings(url=server.url)
    assert await refresh_if_due(paths, settings) is Refreshed.REPLACED
    assert await refresh_if_due(paths, settings) is None
    stored = json.loads(copy_file(paths).read_bytes())
    stored["asked"] -= refreshing.INTERVAL_S + 1
    copy_file(paths).write_text(json.dumps(stored), encoding="utf-8")
    assert await refresh_if_due(paths, settings) is Refreshed.UNCHANGED
    assert await refresh_if_due(paths, settings) is None
    assert len(server.asked) == 2
