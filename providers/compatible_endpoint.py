"""One endpoint as its row and the user's own settings have it: address, headers, quirks, clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jackfield import ErrorKind, Model, PluginError, ProviderError
from providers.compatible_rows import Row, read_fields
from providers.wire.corner import Corner
from providers.wire.hosted import key_of
from providers.wire.quirks import Quirks

if TYPE_CHECKING:
    import httpx

    from jackfield import Credential, PluginContext


@dataclass(frozen=True, slots=True)
class Place:
    """Where to send requests, and what with."""

    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Place({self.url!r})"  # the headers hold the key

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        from providers.wire.addresses import is_local  # like what takes addresses apart, for requests only

        return is_local(self.url)

    def at(self, path: str) -> str:
        """The address of one of its paths; another address altogether stays as it is."""
        from urllib.parse import urlencode

        url = path if "://" in path else f"{self.url}/{path}"
        return f"{url}{'&' if '?' in url else '?'}{urlencode(self.query)}" if self.query else url


class Endpoint:
    """A row of `compatible.toml`, completed by what the user signed in with and wrote in config.toml.

    Args:
        name: of the plugin and the provider.
        row: what is known of the endpoint.
    """

    def __init__(self, name: str, row: Row) -> None:
        self.row = row
        self._name = name
        self._corner = Corner(row.title, reasoning=row.silent)

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's context, without which no server can be asked."""
        self._corner.use(ctx)

    async def opened(self, place: Place) -> httpx.AsyncClient:
        """The client for a place, made with the first request.

        Raises:
            ProviderError: the plugin is off, or its options `ca_bundle` and `proxy` cannot be used.
        """
        return await self._corner.opened(local=place.is_local)

    def place(self, credential: Credential | None, *, needs_key: bool = True) -> Place:
        """Where to send a request, and what with.

        Args:
            credential: what the user signed in with, if anything.
            needs_key: whether this request needs the key that the row says is required.

        Raises:
            ProviderError: the user has not said where, or there is no key.
        """
        key = self.key(credential, needed=needs_key)
        headers = dict(self.row.headers)
        if key and self.row.key_header == "bearer":
            headers["Authorization"] = f"Bearer {key}"
        elif key:
            headers[self.row.key_header] = key
        told = {name: self._told(name, credential) for name in self.row.asks}
        query = {name: _fill(text, told) for name, text in self.row.query.items()}
        return Place(self._url(told), headers, {name: text for name, text in query.items() if text})

    def key(self, credential: Credential | None, *, needed: bool) -> str:
        """The key of a credential; empty where there is none and none is needed.

        Raises:
            ProviderError: it is needed, and there is none.
        """
        if self.row.key == "none":
            return ""
        if self.row.key == "optional" or not needed:
            return "" if credential is None else credential.token.strip()
        env = " or ".join(self.row.env)
        return key_of(credential, title=self.row.title, env=env, key_url=self.row.key_url)

    def named_models(self, credential: Credential | None) -> tuple[Model, ...]:
        """The models that the user named: a `deployment`, and the option `models`.

        Raises:
            ProviderError: the option is no list of names.
        """
        given = self._corner.given("models")
        listed = [] if given is None else given
        if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
            raise self._corner.wrong("models", given, 'Write models = ["...", "..."].')
        deployment = self._told("deployment", credential) if "deployment" in self.row.asks else ""
        facts = {model.id: model for model in self.row.known}
        named = dict.fromkeys([*([deployment] if deployment else []), *listed])
        return tuple(facts.get(name) or Model(name) for name in named)

    def quirks(self) -> Quirks:
        """The quirks of the row, with those in their place that the user wrote in config.toml.

        Raises:
            ProviderError: the option has a key or a value that quirks have not.
        """
        given = self._corner.given("quirks")
        if given is None:
            return self.row.quirks
        try:
            own = read_fields(Quirks, given, "quirks")
        except PluginError as error:
            raise self._corner.wrong("quirks", given, f"{error.title}. {error.hint}") from error
        return replace(self.row.quirks, **own)  # type: ignore[arg-type]  # each was read as its field's type

    def _url(self, told: Mapping[str, str]) -> str:
        from providers.wire.addresses import complete_address

        other = (
            "" if "url" in self.row.asks else self._corner.option("url") or self._corner.option("base_url")
        )
        if other:
            return complete_address(other, "{url}", name=self.row.title)
        missing = next((name for name in self.row.needed if not told.get(name)), None)
        if missing is not None:
            raise self._unknown(missing)
        template = _fill(self.row.base_url, {name: text for name, text in told.items() if name != "url"})
        return complete_address(told.get("url", ""), template, name=self.row.title)

    def _told(self, name: str, credential: Credential | None) -> str:
        """What the user said: while signing in, or else in config.toml, or in the environment."""
        signed = "" if credential is None else credential.values.get(name, "").strip()
        variable = self.row.asks[name].env
        return (
            signed or self._corner.option(name) or (os.environ.get(variable, "").strip() if variable else "")
        )

    def _unknown(self, name: str) -> ProviderError:
        ask = self.row.asks[name]
        example = f'{name} = "{ask.placeholder or "..."}"'
        variable = f", set {ask.env}" if ask.env else ""
        return ProviderError(
            ErrorKind.AUTH,
            f"{self.row.title} needs to know: {ask.label}",
            detail=ask.help,
            hint=f"Sign in{variable}, or write {example} in config.toml under "
            f"[plugins.{self._name}.options].",
        )


def _fill(text: str, told: Mapping[str, str]) -> str:
    from urllib.parse import quote

    for name, value in told.items():
        text = text.replace(f"{{{name}}}", quote(value, safe=""))
    return text
