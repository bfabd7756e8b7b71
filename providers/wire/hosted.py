"""What providers with a server on the internet have in common: an address, a client, a key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jackfield import ErrorKind, ProviderError
from providers.wire.corner import Corner

if TYPE_CHECKING:
    import httpx

    from jackfield import Credential, PluginContext

_SCHEMES: Final = ("http://", "https://")


class HostedServer:
    """One server as a plugin's options name it. The client is made with the first request.

    Args:
        title: how the user calls the provider.
        url: where the server is, unless the option `base_url` or the environment says otherwise.
        url_env: the environment variable that may hold another address, as official clients have it.
        reasoning: the server sends nothing while its model thinks.
    """

    def __init__(self, title: str, url: str, *, url_env: str, reasoning: bool = False) -> None:
        self._url = url
        self._url_env = url_env
        self._corner = Corner(title, reasoning=reasoning)

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's context, without which no server can be asked."""
        self._corner.use(ctx)

    def option(self, name: str) -> str:
        """An option from config.toml, empty when it is not set.

        Raises:
            ProviderError: it is no text.
        """
        return self._corner.option(name)

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end.

        Raises:
            ProviderError: it is no address.
        """
        given = self.option("base_url") or os.environ.get(self._url_env, "").strip() or self._url
        address = given.rstrip("/")
        try:
            hostname = urlsplit(address).hostname
        except ValueError:
            hostname = None
        if not address.startswith(_SCHEMES) or not hostname:
            raise self._corner.wrong(
                "base_url", address, f'Write it as in base_url = "{self._url}", or unset {self._url_env}.'
            )
        return address

    @property
    def is_usual(self) -> bool:
        """Whether this is the server that the provider was written for."""
        return self.url == self._url

    async def opened(self) -> httpx.AsyncClient:
        """The client.

        Raises:
            ProviderError: the plugin is off, or its options cannot be used.
        """
        from providers.wire.addresses import is_local  # like the client, for requests only

        return await self._corner.opened(local=is_local(self.url))


def key_of(credential: Credential | None, *, title: str, env: str, key_url: str) -> str:
    """The key of a credential, or its access token.

    Args:
        credential: what signing in yielded.
        title: how the user calls the provider.
        env: the environment variable that may hold the key.
        key_url: where the user gets one.

    Raises:
        ProviderError: there is no key.
    """
    key = "" if credential is None else credential.token.strip()
    if not key:
        raise ProviderError(
            ErrorKind.AUTH,
            f"There is no key for {title}",
            hint=f"Sign in, or set {env} before you start. Keys are made at {key_url}.",
        )
    return key
