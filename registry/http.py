"""The one place where an HTTP client is made: time limits, proxies and certificates are decided once."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.request import getproxies

import httpx

from registry.errors import ConfigError
from registry.text import safe_text

_HOSTED = httpx.Timeout(connect=5, read=300, write=60, pool=10)
_REASONING = httpx.Timeout(connect=5, read=900, write=60, pool=10)
_DOWNLOAD = httpx.Timeout(connect=10, read=30, write=30, pool=10)
_LOCAL = httpx.Timeout(connect=2, read=1800, write=60, pool=10)


def create_client(
    *,
    base_url: str = "",
    local: bool = False,
    reasoning: bool = False,
    ca_bundle: str | None = None,
    proxy: str | None = None,
) -> httpx.AsyncClient:
    """A client for a hosted server, or for one on this machine (`local`), which no proxy stands before.

    Read limits are between bytes: hosted models may think in silence for minutes, those that send nothing
    while they think (`reasoning`) for longer, and local ones load for longer still. Redirects are not
    followed, so that a credential never reaches a host that nobody named.

    Args:
        base_url: what relative addresses are joined to.
        local: the server runs on this machine.
        reasoning: the server is silent while its model thinks.
        ca_bundle: a PEM file with the certificates to trust in place of the usual ones.
        proxy: the address of a proxy, in place of those that the environment names.

    Raises:
        ConfigError: the bundle or the address of the proxy cannot be used.
    """
    verify = _verify(ca_bundle, local=local)
    try:
        return httpx.AsyncClient(
            base_url=base_url,
            timeout=_LOCAL if local else _REASONING if reasoning else _HOSTED,
            follow_redirects=False,
            trust_env=not local,
            verify=verify,
            proxy=None if local else proxy or None,
            transport=None if local else _direct_transport(verify, proxy),
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        # Without the address itself, which may hold a password.
        socks = isinstance(error, ImportError)
        raise ConfigError(
            "The proxy's address cannot be used",
            detail="SOCKS proxies are not supported." if socks else "It is no address of an HTTP proxy.",
            hint="Write it as http://HOST:PORT, in the option `proxy` or in HTTPS_PROXY.",
        ) from None


def create_download_client() -> httpx.Client:
    """A client for a thread that fetches signed files, which it checks itself: redirects are followed.

    One from https to http is not: the first root of trust is checked by nothing but the connection.
    """
    return httpx.Client(
        timeout=_DOWNLOAD,
        follow_redirects=True,
        max_redirects=5,
        event_hooks={"response": [_refuse_downgrade]},
    )


def _refuse_downgrade(response: httpx.Response) -> None:
    if response.url.scheme != "https" or not response.has_redirect_location:
        return
    if response.url.join(response.headers["Location"]).scheme != "https":
        raise httpx.RemoteProtocolError(
            "The server sends on from https to http, where anybody on the way can change what comes."
        )


def _verify(ca_bundle: str | None, *, local: bool) -> ssl.SSLContext | bool:
    if ca_bundle:
        try:
            return ssl.create_default_context(cafile=str(Path(ca_bundle).expanduser()))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                "The bundle of certificates cannot be read",
                detail=safe_text(f"{ca_bundle}: {error}", limit=500),
                hint="Name a PEM file in the option `ca_bundle`.",
            ) from error
    # httpx's own choice reads a bundle of certificates for 90 ms: too long for a server on this machine
    return ssl.create_default_context() if local else True


def _direct_transport(verify: ssl.SSLContext | bool, proxy: str | None) -> httpx.AsyncHTTPTransport | None:
    """Connections that notice within minutes when the other end is gone, however silent it was before.

    None where the environment names a proxy: httpx finds its way through those only by itself.
    """
    if proxy or {"http", "https", "all"} & getproxies().keys():
        return None
    return httpx.AsyncHTTPTransport(verify=verify, socket_options=_keep_alive())


def _keep_alive() -> list[tuple[int, int, int]]:
    """Ask a silent peer after 60 s whether it is there, then every 60 s, five times."""
    wanted = (
        ("TCP_KEEPIDLE", 60),
        ("TCP_KEEPINTVL", 60),
        ("TCP_KEEPCNT", 5),
    )  # not every system has them all
    known = [(getattr(socket, name), value) for name, value in wanted if hasattr(socket, name)]
    options = [(socket.IPPROTO_TCP, option, value) for option, value in known]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *options]
