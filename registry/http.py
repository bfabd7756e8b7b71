"""The one place where an HTTP client is made, so that time limits and proxies are decided once."""

from __future__ import annotations

import ssl

import httpx

_HOSTED = httpx.Timeout(connect=5, read=300, write=60, pool=10)
_LOCAL = httpx.Timeout(connect=2, read=1800, write=60, pool=10)


def create_client(*, base_url: str = "", local: bool = False) -> httpx.AsyncClient:
    """A client for a hosted server, or for one on this machine (`local`), which no proxy stands before.

    Read limits are between bytes: hosted models may think in silence for minutes, local ones load for longer.
    Redirects are not followed, so that a credential never reaches a host that nobody named.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=_LOCAL if local else _HOSTED,
        follow_redirects=False,
        trust_env=not local,
        # httpx's own choice reads a bundle of certificates for 90 ms: too long for a server on this machine
        verify=ssl.create_default_context() if local else True,
    )
