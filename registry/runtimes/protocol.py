"""The protocol between the app and a plugin's process, as pydantic models: what its page is made of.

At run time only what a plugin says of itself is read through these; what crosses the pipe at every hook and
token is written and read by `codec.py`, and tests hold both together.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from registry.auth import AuthMethod
from registry.capabilities import Capabilities
from registry.chat import STREAM_EVENTS, ParameterValue, Part, Role, StopReason, Usage
from registry.command import HostAction
from registry.provider import ErrorKind, Model, Parameter
from registry.runtimes.codec import event_name


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class ProviderSaid(_Data):
    """A provider, as a plugin says it has."""

    name: str
    title: str = ""
    models: list[Model] = []
    """Models that are known without asking anyone."""


class CommandSaid(_Data):
    """A slash command, as a plugin says it has."""

    name: str
    summary: str
    argument: str = ""
    """What its argument stands for; empty when it takes none."""


class Description(_Data):
    """What a plugin says of itself. It has to stay the same from one start to the next."""

    name: str
    """Lower-case letters, digits and `-`, beginning with a letter."""
    version: str
    """As PEP 440 has it."""
    summary: str = ""
    guard: bool = False
    """Whether a turn stops when one of its hooks fails."""
    hooks: list[Literal["on_request", "on_response", "on_event"]] = []
    verifies: bool = False
    """Whether it answers `verify`."""
    auth_methods: list[AuthMethod] = []
    providers: list[ProviderSaid] = []
    commands: list[CommandSaid] = []
    capabilities: Capabilities = Capabilities()


class Initialize(_Data):
    """Parameters of `initialize`."""

    protocol: int
    """The version that the app speaks."""
    app: str
    """The version of the app."""


class Initialized(_Data):
    """Result of `initialize`."""

    protocol: int
    """The version that the plugin speaks."""
    plugin: Description


class Start(_Data):
    """Parameters of `start`."""

    name: str
    options: dict[str, Any]
    """The plugin's table in config.toml."""
    data_folder: str
    """A folder of its own, which it makes when it needs it."""


class MessageData(_Data):
    """A message of a conversation."""

    role: Role
    parts: list[Annotated[Part, Field(discriminator="type")]]
    model: str | None = None


class RequestData(_Data):
    """What is sent to a provider."""

    model: str
    provider: str
    system: str | None
    parameters: dict[str, ParameterValue]
    messages: list[MessageData]


class RequestChanges(_Data):
    """The fields of a request that a hook changed, and only those."""

    model: str | None = None
    provider: str | None = None
    system: str | None = None
    parameters: dict[str, ParameterValue] | None = None
    messages: list[int | MessageData] | None = None
    """All messages; a number is the place of one that was there before, from 0."""


class ResponseData(_Data):
    """A finished answer."""

    message: MessageData
    stop: StopReason
    usage: Usage


class ResponseChanges(_Data):
    """The fields of an answer that a hook changed, and only those."""

    message: MessageData | None = None
    stop: StopReason | None = None
    usage: Usage | None = None


class CredentialData(_Data):
    """What the user signed in with. Keep it for the one call that it comes with."""

    secrets: dict[str, str]
    """`key` for an API key, `access_token` for OAuth, secret fields of a form."""
    values: dict[str, str]
    """Fields of a form that are no secrets."""
    expires_at: float | None
    """When the access token ends, in Unix seconds."""
    scopes: list[str]


def _event_model(event: type) -> type[BaseModel]:
    """The model of an event: the fields of its dataclass, and its name as `type`."""
    types = get_type_hints(event)
    members: dict[str, Any] = {field.name: (types[field.name], _default(field)) for field in fields(event)}
    name: Any = Literal[event_name(event)]
    return create_model(event.__name__, __base__=_Data, __doc__=event.__doc__, type=(name, ...), **members)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory)
    return ... if field.default is dataclasses.MISSING else field.default


if TYPE_CHECKING:
    Event: TypeAlias = BaseModel
else:
    # made of the classes that there are, so that none is forgotten
    Event = Annotated[
        Union[tuple(_event_model(event) for event in STREAM_EVENTS)],  # noqa: UP007 - computed
        Field(discriminator="type"),
    ]


class Verify(_Data):
    """Parameters of `verify`."""

    credential: CredentialData


class OnRequest(_Data):
    """Parameters of `hook/on_request`."""

    request: RequestData


class RequestChanged(_Data):
    """Result of `hook/on_request`, or null when nothing was changed."""

    request: RequestChanges


class OnResponse(_Data):
    """Parameters of `hook/on_response`."""

    response: ResponseData


class ResponseChanged(_Data):
    """Result of `hook/on_response`, or null when nothing was changed."""

    response: ResponseChanges


class OnEvent(_Data):
    """Parameters of `hook/on_event`."""

    event: Event


class EventChanged(_Data):
    """Result of `hook/on_event`: another event, or null in its place to drop it; null alone leaves it."""

    event: Event | None


class ListModels(_Data):
    """Parameters of `provider/models`."""

    provider: str
    credential: CredentialData | None


class Models(_Data):
    """Result of `provider/models`."""

    models: list[Model]


class ListParameters(_Data):
    """Parameters of `provider/parameters`."""

    provider: str
    model: Model


class Parameters(_Data):
    """Result of `provider/parameters`."""

    parameters: list[Parameter]


class Stream(_Data):
    """Parameters of `provider/stream`."""

    provider: str
    request: RequestData
    credential: CredentialData | None
    window: int
    """How many events may be sent before `$/more` allows for others."""
    window_bytes: int
    """The same in bytes of the messages that they come in; the last message may go beyond."""


class Events(_Data):
    """Parameters of `provider/events`."""

    id: int
    """Of the call of `provider/stream`."""
    events: list[Event]


class RunCommand(_Data):
    """Parameters of `command/run`."""

    command: str
    argument: str
    messages: list[MessageData]


class ShowResult(_Data):
    """Show Markdown; the model does not see it."""

    type: Literal["show"]
    markdown: str


class SendResult(_Data):
    """Send a prompt as if the user had typed it."""

    type: Literal["send"]
    prompt: str


class FillResult(_Data):
    """Put text into the composer."""

    type: Literal["fill"]
    text: str


class PerformResult(_Data):
    """Have the app do one of its own actions."""

    type: Literal["perform"]
    action: HostAction


class CommandRan(_Data):
    """Result of `command/run`."""

    result: (
        Annotated[ShowResult | SendResult | FillResult | PerformResult, Field(discriminator="type")] | None
    )


class Cancel(_Data):
    """Parameters of `$/cancel`."""

    id: int


class More(_Data):
    """Parameters of `$/more`."""

    id: int
    events: int
    """How many more may be sent."""
    bytes: int
    """How many more bytes of messages they may take."""


class Nothing(_Data):
    """No parameters."""


class ErrorData(_Data):
    """What `data` of an error may hold; a provider's error names its kind."""

    title: str
    detail: str = ""
    hint: str = ""
    kind: ErrorKind | None = None
    status: int | None = None
    """The HTTP status, where there was one."""
    retry_after_s: float | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the protocol."""

    name: str
    says: str
    """What it is for, in a sentence or two."""
    params: type[BaseModel]
    result: type[BaseModel] | None = None
    """None when it gives null."""
    kind: Literal["call", "notice", "notice to the app"] = "call"


METHODS = (
    Method("initialize", "The first call: who are you, and what do you contribute?", Initialize, Initialized),
    Method("start", "The second, when the plugin is to be used and not only described.", Start),
    Method("verify", "Is this credential good? An error says why not.", Verify),
    Method("hook/on_request", "Before a request is sent.", OnRequest, RequestChanged),
    Method("hook/on_response", "After an answer is finished.", OnResponse, ResponseChanged),
    Method("hook/on_event", "For each event of an answer.", OnEvent, EventChanged),
    Method("provider/models", "Which models can be used now?", ListModels, Models),
    Method("provider/parameters", "What may be set for this model?", ListParameters, Parameters),
    Method(
        "provider/stream",
        "Answer a request: send `provider/events` with the id of this call, the last event `finished`, and "
        "then give null.",
        Stream,
    ),
    Method("provider/events", "Events of a stream, as many as there are.", Events, None, "notice to the app"),
    Method("command/run", "The user typed the command.", RunCommand, CommandRan),
    Method(
        "$/cancel",
        "Nobody waits for this call any more: stop it, and answer it all the same.",
        Cancel,
        None,
        "notice",
    ),
    Method("$/more", "More events of this stream may be sent.", More, None, "notice"),
    Method("stop", "Close and exit. Standard input ends after it.", Nothing, None, "notice"),
)
"""Every method there is."""
