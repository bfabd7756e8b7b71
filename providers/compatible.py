"""Endpoints that speak Chat Completions: each is a row of `compatible.toml` and a plugin of its own.

Adding an endpoint is adding a row; nothing else changes. Options of each in config.toml:

```toml
[plugins.custom.options]
url = "http://127.0.0.1:8000/v1"   # where the server is, in place of the address of its row
models = ["my-model"]              # models beside those that the server lists
quirks = { think_tags = true }     # as in providers/wire/quirks.py, in place of those of its row
```
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jackfield import (
    Capabilities,
    ErrorKind,
    Model,
    Parameter,
    Plugin,
    PluginFamily,
    Provider,
    ProviderError,
)
from providers.compatible_endpoint import Endpoint, Place
from providers.compatible_rows import Row, read_names, read_row

if TYPE_CHECKING:
    from jackfield import AuthMethod, ChatRequest, Credential, PluginContext, StreamEvent

_ALWAYS: Final = frozenset({"model", "messages", "input", "stream"})
"""Fields that no request does without."""
_REFUSALS: Final = (
    *("unsupported", "not support", "unknown", "unrecognized", "unexpected", "extra inputs"),
    *("not permitted", "not allowed", "deprecated"),
)
"""What servers say of a field that they do not take."""
_NEWER_LIMIT: Final = "max_completion_tokens"
"""What OpenAI's newer models call `max_tokens`, which they refuse."""
_MOST_REFUSALS: Final = 4
"""A server that refuses more fields than this of one request does not speak the dialect."""


def family_of(file: Path) -> PluginFamily:
    """The plugins that a file of rows stands for, one for each."""
    return PluginFamily(
        names=lambda: read_names(file),
        make=lambda name: CompatiblePlugin(name, read_row(file, name), (file,)),
    )


FAMILY: Final = family_of(Path(__file__).with_name("compatible.toml"))
"""The endpoints that come with the app."""


class CompatiblePlugin(Plugin):
    """Offers the models of one endpoint.

    Args:
        name: of the plugin and its provider.
        row: what is known of the endpoint.
        files: where that is written.
    """

    version = "0.1.0"

    def __init__(self, name: str, row: Row, files: Sequence[Path] = ()) -> None:
        self.name = name
        self.summary = row.summary or f"Models at {row.title}, with your own key"
        self.data_files = tuple(files)
        self.capabilities = Capabilities(hosts=row.hosts)
        self._row = row
        self._provider = CompatibleProvider(name, row)

    def on_init(self, ctx: PluginContext) -> None:
        """Take the options that the user set."""
        self._provider.use(ctx)

    def auth_methods(self) -> Sequence[AuthMethod]:
        """A key, a form for what the address needs, or both in one."""
        return _auth_methods(self._row)

    def providers(self) -> Sequence[Provider]:
        """One provider."""
        return (self._provider,)


class CompatibleProvider(Provider):
    """Answers with the models of one endpoint.

    Args:
        name: in front of its models, as in `name/model`.
        row: what is known of the endpoint.
    """

    def __init__(self, name: str, row: Row) -> None:
        self.name = name
        self.title = row.title
        self.known_models = row.known
        self._row = row
        self._endpoint = Endpoint(name, row)
        self._listed: tuple[Place, tuple[Model, ...]] | None = None
        self._refused: dict[str, set[str]] = {}

    def use(self, ctx: PluginContext) -> None:
        """Take the plugin's corner, without which no server can be asked."""
        self._endpoint.use(ctx)

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models that the endpoint lists, asked for once; those of a server on this machine each time.

        Where it lists none, or has no list, the known ones.

        Raises:
            ProviderError: there is no key or no address, or the list could not be had.
        """
        named = self._endpoint.named_models(credential)
        listed = await self._listed_models(credential, others=bool(named or self.known_models))
        own = {model.id for model in named}
        return (*named, *(model for model in listed if model.id not in own))

    async def _listed_models(self, credential: Credential | None, *, others: bool) -> Sequence[Model]:
        row = self._row
        if not row.models:
            return self.known_models
        needs_key = row.models_need_key and row.key == "required"
        if needs_key and others and not self._endpoint.key(credential, needed=False):
            return self.known_models
        place = self._endpoint.place(credential, needs_key=needs_key)
        if self._listed is None or self._listed[0] != place or place.is_local:
            self._listed = (place, await self._list(place, others=others))
        return self._listed[1]

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """Temperature, length and effort, but for what the endpoint or its model does not take."""
        from providers.wire.chat_request import accepted

        known = next((known for known in self.known_models if known.id == model.id), None)
        described = model if model.is_marked or known is None else known
        taken = accepted(described, quirks=self._endpoint.quirks())
        refused = self._refused.get(model.id, set())
        return tuple(parameter for parameter in taken if parameter.name not in refused)

    async def stream(
        self, request: ChatRequest, credential: Credential | None
    ) -> AsyncGenerator[StreamEvent]:
        """Answer a request.

        A field that the endpoint does not know is left out from then on, and the request is sent again.

        Raises:
            ProviderError: there is no key or no address, or the endpoint refused or broke off.
        """
        from jackfield import Progress  # the events of a chat take long to import, and are not needed before

        place = self._endpoint.place(credential)
        refused = self._refused.setdefault(request.model, set())
        while True:
            body = {name: value for name, value in self._body(request).items() if name not in refused}
            given = False
            try:
                async with aclosing(self._answer(place, body)) as events:
                    async for event in events:
                        given = given or not isinstance(event, Progress)
                        yield _with_left_out(event, self._lost(request, body, refused))
                return
            except ProviderError as error:
                field = _refused_field(error, body)
                if given or field is None or len(refused) >= _MOST_REFUSALS:
                    raise
                refused.add(field)

    async def _answer(self, place: Place, body: Mapping[str, object]) -> AsyncGenerator[StreamEvent]:
        from providers.wire.retry import retrying

        client = await self._endpoint.opened(place)

        def ask() -> AsyncGenerator[StreamEvent]:
            if self._row.dialect == "responses":
                from providers.wire.openai_responses import stream_responses

                url = place.at("responses")
                return stream_responses(client, url, body, name=self.title, headers=place.headers)
            from providers.wire.chat_completions import stream_chat

            url = place.at("chat/completions")
            quirks = self._endpoint.quirks()
            return stream_chat(client, url, body, name=self.title, headers=place.headers, quirks=quirks)

        async with aclosing(retrying(ask, name=self.title)) as events:
            async for event in events:
                yield event

    def _body(self, request: ChatRequest) -> dict[str, object]:
        if self._row.dialect == "responses":
            from providers.wire import openai_responses

            known = next((model for model in self.known_models if model.id == request.model), None)
            reasons = "effort" in request.parameters or (known is not None and known.reasoning)
            body = openai_responses.request_body(request, reasons=reasons, summary=None)
            if "temperature" in request.parameters:  # models of others take one although they reason
                body["temperature"] = request.parameters["temperature"]
            return body
        from providers.wire.chat_request import request_body

        body = request_body(request, quirks=self._endpoint.quirks())
        if "max_tokens" in body and "max_tokens" in self._refused.get(request.model, ()):
            body[_NEWER_LIMIT] = body["max_tokens"]
        return body

    def _lost(self, request: ChatRequest, body: Mapping[str, object], refused: set[str]) -> list[str]:
        """The parameters of the user that are in no field of a request, since their fields were refused."""
        lost = refused & request.parameters.keys()
        if _NEWER_LIMIT in body:
            lost.discard("max_tokens")
        if "effort" in request.parameters and refused & self._endpoint.quirks().effort_on.keys():
            lost.add("effort")
        return sorted(lost)

    async def _list(self, place: Place, *, others: bool) -> tuple[Model, ...]:
        from providers.wire.model_listing import fill_gaps, read_listing
        from providers.wire.transport import get_json

        client = await self._endpoint.opened(place)
        try:
            body = await get_json(client, place.at(self._row.models), name=self.title, headers=place.headers)
        except ProviderError as error:
            if error.kind is ErrorKind.NOT_FOUND and others:
                return tuple(self.known_models)  # it has no list after all
            raise
        return fill_gaps(read_listing(body), self.known_models) or tuple(self.known_models)


def _auth_methods(row: Row) -> Sequence[AuthMethod]:
    from jackfield import ApiKey, Form, FormField, NoAuth  # pydantic is heavy, and not needed to answer

    asked = tuple(
        FormField(
            name=name,
            kind="url" if name == "url" else "text",
            label=ask.label,
            help=ask.help,
            placeholder=ask.placeholder,
            required=name in row.needed,
        )
        for name, ask in row.asks.items()
    )
    key = ApiKey(
        name="key", label="API key", env=row.env, key_url=row.key_url, help_url=row.docs, fields=asked
    )
    if row.key == "required":
        return (*_sign_ins(row), key)
    if row.key == "none":
        return (Form(label="Address", fields=asked, help_url=row.docs) if asked else NoAuth(),)
    secret = FormField(
        name="key", kind="secret", label="API key", help="Only if it asks for one", required=False
    )
    form = Form(name="form", label="Address and key" if asked else "API key", fields=(*asked, secret))
    return (form, key) if row.env else (form,)


def _sign_ins(row: Row) -> Sequence[AuthMethod]:
    """The ways to let the endpoint make a key: the browser brings its code back, or the page shows it."""
    if row.sign_in is None:
        return ()
    from jackfield import OAuthCode  # pydantic is heavy, and not needed to answer

    by_browser = OAuthCode(
        name="browser",
        label=f"Sign in at {row.title}",
        help_url=row.docs,
        authorization_endpoint=row.sign_in.page,
        token_endpoint=row.sign_in.exchange,
        exchange="key",
        callback_parameter=row.sign_in.callback,
        extra_parameters=dict(row.sign_in.parameters),
    )
    shown = {"name": "code", "label": f"Sign in at {row.title} on another device", "redirect": "paste"}
    return by_browser, by_browser.model_copy(update=shown)


def _refused_field(error: ProviderError, body: Mapping[str, object]) -> str | None:
    """The field of a request that the server says it does not take, if it is one that can be left out."""
    said = error.detail.lower()
    if error.kind is not ErrorKind.BAD_REQUEST or not any(words in said for words in _REFUSALS):
        return None
    words = re.findall(r"\w+", error.detail)
    return next((word for word in words if word in body and word not in _ALWAYS), None)


def _with_left_out(event: StreamEvent, lost: Sequence[str]) -> StreamEvent:
    """The last event tells which of the user's parameters the endpoint did not take."""
    from jackfield import Finished

    if not lost or not isinstance(event, Finished):
        return event
    return replace(event, details={**event.details, "left_out": ", ".join(lost)})
