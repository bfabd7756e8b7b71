"""Every way in which a server, a proxy or a network can fail is told, with what to do next."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jackfield import ErrorKind, PluginContext, ProviderError
from providers.wire import transport
from providers.wire.sse import MAX_EVENT_BYTES, ServerEvent
from providers.wire.transport import drain, get_json, open_client, post_events
from registry.errors import ConfigError
from registry.http import create_client
from tests.providers.conftest import MakeContext
from tests.providers.peer import Reply, running_peer


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def post(url: str, client: httpx.AsyncClient | None = None) -> list[ServerEvent]:
    async with client or create_client() as opened:
        return [event async for event in post_events(opened, url, {"a": 1}, name="Peer")]


async def failing(url: str, client: httpx.AsyncClient | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await post(url, client)
    error = caught.value
    assert "Peer" in error.title
    assert error.detail
    assert error.hint
    return error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# -- the network --------------------------------------------------------------------------------------------


async def test_a_name_that_is_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_found(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", not_found)
    error = await failing("https://api.no-such-host.invalid/v1")
    assert error.kind is ErrorKind.CONNECTION
    assert "address" in error.title
    assert error.retryable


async def test_a_port_where_nobody_listens_is_told() -> None:
    error = await failing(f"http://127.0.0.1:{free_port()}/")
    assert error.kind is ErrorKind.CONNECTION
    assert "reached" in error.title


async def test_a_server_that_takes_the_request_and_never_answers_is_left() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    client = create_client()
    client.timeout = httpx.Timeout(5, read=0.1)
    async with server:
        error = await failing(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", client)
    assert error.kind is ErrorKind.TIMEOUT
    assert "said nothing" in error.detail


async def test_a_server_that_breaks_off_is_told() -> None:
    async with running_peer(Reply([b"data: x\n\n"], breaks_off=True)) as peer:
        assert (await failing(peer.url)).kind is ErrorKind.CONNECTION


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return certificate_file, key_file


@contextlib.asynccontextmanager
async def tls_server(certificate: Path, key: Path) -> AsyncIterator[str]:
    """Answers everything with one event, over TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            writer.write(head + b"data: safe\n\n")
            await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_certificate_that_nobody_trusts_is_told_with_the_option_to_set(tmp_path: Path) -> None:
    async with tls_server(*make_certificate(tmp_path)) as url:
        error = await failing(url)
    assert error.kind is ErrorKind.CONNECTION
    assert "ca_bundle" in error.hint
    assert not error.retryable


async def test_a_bundle_of_the_users_own_is_trusted(tmp_path: Path, make_context: MakeContext) -> None:
    certificate, key = make_certificate(tmp_path)
    context = make_context("peer", ca_bundle=str(certificate))
    async with tls_server(certificate, key) as url:
        client = await asyncio.to_thread(open_client, context)
        assert await post(url, client) == [ServerEvent("safe")]


# -- proxies ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that answers every request by itself, and the first lines that it was sent."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0].decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: hi\n\n"


async def test_a_proxy_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(REFUSAL) as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        error = await failing("https://api.example.invalid/v1")
    assert asked == ["CONNECT api.example.invalid:443 HTTP/1.1"]
    assert error.kind is ErrorKind.CONNECTION
    assert "proxy" in error.title
    assert not error.retryable


async def test_the_option_names_a_proxy(make_context: MakeContext) -> None:
    async with proxy(ANSWER) as (url, asked):
        client = await asyncio.to_thread(open_client, make_context("peer", proxy=url))
        assert await post("http://api.example.invalid/v1", client) == [ServerEvent("hi")]
    assert asked == ["POST http://api.example.invalid/v1 HTTP/1.1"]


async def test_a_server_on_this_machine_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, make_context: MakeContext
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with running_peer(Reply([b"data: near\n\n"])) as peer:
        client = make_context("peer", proxy="http://127.0.0.1:9").http_client(local=True)
        assert await post(peer.url, client) == [ServerEvent("near")]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ca_bundle", "/no/such/bundle.pem"),
        ("ca_bundle", __file__),
        ("ca_bundle", 7),
        ("proxy", "gopher://user:s3cret@host"),
        ("proxy", "socks5://user:s3cret@host"),
        ("proxy", ["x"]),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    make_context: MakeContext, option: str, value: object
) -> None:
    with pytest.raises(ProviderError) as caught:
        open_client(make_context("peer", **{option: value}))
    said = str(caught.value)
    assert option in said
    assert "s3cret" not in said
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_the_client_itself_tells_of_a_wrong_option() -> None:
    with pytest.raises(ConfigError):
        create_client(ca_bundle="/no/such/bundle.pem")


async def test_time_limits_fit_the_kind_of_server(make_context: MakeContext) -> None:
    context: PluginContext = make_context("peer")
    clients = [context.http_client(), context.http_client(reasoning=True), context.http_client(local=True)]
    assert [(client.timeout.connect, client.timeout.read) for client in clients] == [
        (5, 300),
        (5, 900),
        (2, 1800),
    ]


# -- what comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/html", "text/event-stream", "text/plain"])
async def test_a_web_page_in_place_of_an_answer_is_told(kind: str) -> None:
    page = b"<!doctype html><html><style>p {}</style><title>Sign in</title><p>Wi-Fi\x1b[2J</p></html>"
    async with running_peer(Reply([page], content_type=kind)) as peer:
        error = await failing(peer.url)
    assert error.kind is ErrorKind.PROTOCOL
    assert "Sign in Wi-Fi" in error.detail
    assert "\x1b" not in error.detail


async def test_a_gateways_page_is_shortened_to_its_words() -> None:
    page = b"<html><head><title>502 Bad Gateway</title></head><body>" + b"<hr>" * 500 + b"cloud</body></html>"
    async with running_peer(Reply([page], 502, "text/html")) as peer:
        error = await failing(peer.url)
    assert error.kind is ErrorKind.SERVER
    assert "502 Bad Gateway cloud" in error.detail


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
async def test_an_error_under_a_status_of_success_is_an_error(kind: str) -> None:
    body = b' {"error": {"message": "the cause", "type": "rate_limit_error"}}'
    async with running_peer(Reply([body], 200, kind, {"x-request-id": "r1"})) as peer:
        error = await failing(peer.url)
    assert error.kind is ErrorKind.RATE_LIMITED
    assert error.request_id == "r1"


async def test_a_whole_document_is_one_event() -> None:
    async with running_peer(Reply([b'{"a"', b": 1}"], content_type="application/json")) as peer:
        assert await post(peer.url) == [ServerEvent('{"a": 1}')]


async def test_an_event_of_more_than_64_mb_is_refused() -> None:
    piece = b"x" * (1 << 20)
    pieces = [b"data: ", *[piece] * (MAX_EVENT_BYTES // len(piece) + 1)]
    async with running_peer(Reply(pieces)) as peer:
        error = await failing(peer.url)
    assert error.kind is ErrorKind.PROTOCOL
    assert "too large" in error.title


async def test_an_event_of_10_mb_is_read_whole() -> None:
    words = b"x" * 10_000_000
    async with running_peer(Reply([b"data: " + words + b"\n\n"])) as peer:
        (event,) = await post(peer.url)
    assert len(event.data) == len(words)


async def test_invalid_utf_8_costs_a_character_and_not_the_answer() -> None:
    async with running_peer(Reply([b"data: a\xff\xfeb\n\n"])) as peer:
        assert await post(peer.url) == [ServerEvent("a\ufffd\ufffdb")]


async def test_a_redirect_is_not_followed() -> None:
    async with running_peer(Reply(status=302, headers={"location": "http://127.0.0.1:9/"})) as peer:
        error = await failing(peer.url)
    assert error.status == 302
    assert not error.retryable


@pytest.mark.parametrize("address", ["ftp://host/", "no address", "http://[::1", "http://a b/"])
async def test_an_address_that_is_none_is_told(address: str) -> None:
    assert (await failing(address)).kind in (ErrorKind.BAD_REQUEST, ErrorKind.CONNECTION)


async def test_half_a_character_can_be_sent() -> None:
    async with running_peer(Reply([b"data: ok\n\n"])) as peer, create_client() as client:
        events = post_events(client, peer.url, {"a": "x\ud83d"}, name="Peer")
        assert [event.data async for event in events] == ["ok"]
    assert peer.sent() == {"a": "x?"}


# -- connections --------------------------------------------------------------------------------------------


async def test_closing_the_answer_closes_the_connection() -> None:
    async with running_peer(Reply([b"data: x\n\n"], stays_open=True)) as peer, create_client() as client:
        async with aclosing(post_events(client, peer.url, {}, name="Peer")) as events:
            assert (await anext(events)).data == "x"
        await asyncio.wait_for(peer.left.wait(), 5)


async def test_a_server_that_stays_after_its_last_word_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_DRAIN_LIMIT_S", 0.01)
    async with running_peer(Reply([b"data: x\n\n"], stays_open=True)) as peer, create_client() as client:
        async with aclosing(post_events(client, peer.url, {}, name="Peer")) as events:
            assert (await anext(events)).data == "x"
            await asyncio.wait_for(drain(events), 5)
        await asyncio.wait_for(peer.left.wait(), 5)


async def test_a_connection_is_used_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n{}")
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 16\r\n\r\n"
                )
                writer.write(b"data: x\n\n")
                await writer.drain()
                writer.write(b": done\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, create_client() as client:
        for _ in range(3):
            async with aclosing(post_events(client, url, {}, name="Peer")) as events:
                assert (await anext(events)).data == "x"
                await drain(events)
    assert connections == 1


async def test_json_is_fetched_or_the_reason_told() -> None:
    replies = [
        Reply([b'{"data": []}'], content_type="application/json"),
        Reply([b"{"], content_type="application/json"),
        Reply([b'{"error": "nope"}'], 404, "application/json"),
    ]
    async with running_peer(*replies) as peer, create_client() as client:
        assert await get_json(client, peer.url, name="Peer", params={"limit": 5}) == {"data": []}
        for kind in (ErrorKind.PROTOCOL, ErrorKind.NOT_FOUND):
            with pytest.raises(ProviderError) as caught:
                await get_json(client, peer.url, name="Peer")
            assert caught.value.kind is kind
    assert "limit=5" in peer.requests[0][0]
