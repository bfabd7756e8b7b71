"""What crosses the pipe, as JSON data and back. Used at both ends.

Written by hand, since it runs at every hook and token; `protocol.py` has the same as schemas, and a test
holds them together. Decoding checks shapes; the types of an event's fields are checked where a turn reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final, get_args

from registry.chat import (
    STREAM_EVENTS,
    ChatRequest,
    ChatResponse,
    Finished,
    Message,
    Role,
    StopReason,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReceived,
)
from registry.chat_json import part_from_object, part_to_object
from registry.command import CommandResult, Fill, HostAction, Perform, Send, Show
from registry.provider import Model, Parameter

if TYPE_CHECKING:
    from registry.auth import Credential

HOST_SECRETS: Final = frozenset({"refresh_token", "client_secret"})
"""Secrets of a credential that stay with the app: it alone refreshes and revokes."""


def event_name(event: type) -> str:
    """The `type` of an event, such as `text_delta`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in event.__name__)[1:]


EVENT_NAMES: Final = {event: event_name(event) for event in STREAM_EVENTS}
"""The `type` of each event by its class."""
_EVENTS: Final[dict[str, Callable[..., StreamEvent]]] = {name: event for event, name in EVENT_NAMES.items()}
_FIELDS: Final = {event: tuple(field.name for field in fields(event)) for event in STREAM_EVENTS}
_RESULTS: Final[dict[str, tuple[type, str]]] = {
    "show": (Show, "markdown"),
    "send": (Send, "prompt"),
    "fill": (Fill, "text"),
    "perform": (Perform, "action"),
}
_ROLES: Final = get_args(Role)


def event_to_json(event: object) -> dict[str, Any]:
    """An event of a stream.

    Raises:
        TypeError: it is something else.
    """
    data: dict[str, Any]
    if type(event) is TextDelta:  # most events by far
        data = {"type": "text_delta", "text": event.text}
        return {**data, "index": event.index} if event.index else data
    name = EVENT_NAMES.get(type(event))  # type: ignore[arg-type]
    if name is None:
        raise TypeError(f"a {type(event).__name__} where an event belongs")
    data = {"type": name, **{field: getattr(event, field) for field in _FIELDS[type(event)]}}  # type: ignore[index]
    match event:
        case UsageReceived():
            data["usage"] = asdict(event.usage)
        case Finished():
            data["usage"] = None if event.usage is None else asdict(event.usage)
            data["details"] = dict(event.details)
    return data


def event_from_json(data: Any) -> StreamEvent:
    """An event from what `event_to_json` gave; fields at their default may be left out.

    Raises:
        ValueError: it is something else.
    """
    try:
        name = data["type"]
        if name == "text_delta":  # most events by far
            return TextDelta(data["text"], data.get("index", 0))
        values = {key: value for key, value in data.items() if key != "type"}
        if "usage" in values and values["usage"] is not None:
            values["usage"] = usage_from_json(values["usage"])
        if "stop" in values:
            values["stop"] = StopReason(values["stop"])
        return _EVENTS[name](**values)
    except (TypeError, LookupError, AttributeError, ValueError) as error:
        raise ValueError(f"not an event that this version knows: {data!r:.100}") from error


def message_to_json(message: Message) -> dict[str, Any]:
    """A message of a conversation."""
    parts = [part_to_object(part) for part in message.parts]
    data: dict[str, Any] = {"role": message.role, "parts": parts}
    return data if message.model is None else {**data, "model": message.model}


def message_from_json(data: Any) -> Message:
    """A message from what `message_to_json` gave.

    Raises:
        ValueError: it is something else.
    """
    if (
        not isinstance(data, dict)
        or data.get("role") not in _ROLES
        or not isinstance(data.get("parts"), list)
    ):
        raise ValueError("not a message: it needs a role and parts")
    return Message(data["role"], tuple(part_from_object(part) for part in data["parts"]), data.get("model"))


def request_to_json(request: ChatRequest) -> dict[str, Any]:
    """A request."""
    return {
        "model": request.model,
        "provider": request.provider,
        "system": request.system,
        "parameters": request.parameters,
        "messages": [message_to_json(message) for message in request.messages],
    }


def request_from_json(data: Any) -> ChatRequest:
    """A request from what `request_to_json` gave.

    Raises:
        LookupError, TypeError, ValueError: it is something else.
    """
    messages = [message_from_json(message) for message in data["messages"]]
    return ChatRequest(data["model"], messages, data["provider"], data["system"], dict(data["parameters"]))


def request_changes(before: ChatRequest, after: ChatRequest) -> dict[str, Any] | None:
    """What a hook changed of a request: the fields that differ; None when none does.

    A message that was there before is its place among those, so that a long conversation is not sent back.
    """
    changes: dict[str, Any] = {
        name: getattr(after, name)
        for name in ("model", "provider", "system", "parameters")
        if getattr(after, name) != getattr(before, name)
    }
    if after.messages != before.messages:
        places = {id(message): place for place, message in enumerate(before.messages)}
        changes["messages"] = [
            places[id(message)] if id(message) in places else message_to_json(message)
            for message in after.messages
        ]
    return changes or None


def change_request(request: ChatRequest, changes: Any) -> None:
    """Make the changes that `request_changes` gave, in place. What they leave out stays as it is.

    Raises:
        ValueError: they are something else.
    """
    checked = _table(changes, {"model", "provider", "system", "parameters", "messages"}, "a request")
    if "messages" in checked:
        request.messages = _messages(checked.pop("messages"), tuple(request.messages))
    for name, value in checked.items():
        setattr(request, name, value)


def _messages(given: Any, before: Sequence[Message]) -> list[Message]:
    if not isinstance(given, list):
        raise ValueError("the messages of a request are no list")  # noqa: TRY004 - a value from outside
    return [_message_at(item, before) if type(item) is int else message_from_json(item) for item in given]


def _message_at(place: int, before: Sequence[Message]) -> Message:
    if not 0 <= place < len(before):
        raise ValueError(f"there is no message {place}")
    return before[place]


def response_to_json(response: ChatResponse) -> dict[str, Any]:
    """A finished answer."""
    message, usage = message_to_json(response.message), asdict(response.usage)
    return {"message": message, "stop": response.stop, "usage": usage}


def response_from_json(data: Any) -> ChatResponse:
    """An answer from what `response_to_json` gave.

    Raises:
        LookupError, TypeError, ValueError: it is something else.
    """
    message, usage = message_from_json(data["message"]), usage_from_json(data["usage"])
    return ChatResponse(message, StopReason(data["stop"]), usage)


def response_changes(before: ChatResponse, after: ChatResponse) -> dict[str, Any] | None:
    """What a hook changed of an answer: the fields that differ; None when none does."""
    whole = response_to_json(after)
    names = [name for name in whole if getattr(before, name) != getattr(after, name)]
    return {name: whole[name] for name in names} or None


def change_response(response: ChatResponse, changes: Any) -> None:
    """Make the changes that `response_changes` gave, in place. What they leave out stays as it is.

    Raises:
        ValueError: they are something else.
    """
    checked = _table(changes, {"message", "stop", "usage"}, "an answer")
    if "message" in checked:
        response.message = message_from_json(checked["message"])
    if "stop" in checked:
        response.stop = StopReason(checked["stop"])
    if "usage" in checked:
        response.usage = usage_from_json(checked["usage"])


def usage_from_json(data: Any) -> Usage:
    """A usage; buckets that are left out are 0.

    Raises:
        ValueError: it is something else.
    """
    names = {field.name for field in fields(Usage)}
    checked = _table(data, names, "a usage")
    if not all(type(count) is int for count in checked.values()):
        raise ValueError("a usage holds something else than counts")
    return Usage(**checked)


def model_to_json(model: Model) -> dict[str, Any]:
    """A model."""
    return asdict(model)


def models_from_json(data: Any) -> tuple[Model, ...]:
    """Models; fields at their default may be left out. Whoever lists them checks their fields.

    Raises:
        ValueError: they are something else.
    """
    if not isinstance(data, list):
        raise ValueError("the models are no list")  # noqa: TRY004 - a value from outside
    names = {field.name for field in fields(Model)}
    checked = [_table(item, names, "a model") for item in data]
    if not all(isinstance(item.get("id"), str) for item in checked):
        raise ValueError("a model has no id")
    return tuple(Model(**{**item, "modalities": tuple(item.get("modalities", ["text"]))}) for item in checked)


def parameters_from_json(data: Any) -> tuple[Parameter, ...]:
    """What may be set for a model; fields at their default may be left out.

    Raises:
        ValueError: they are something else.
    """
    if not isinstance(data, list):
        raise ValueError("the parameters are no list")  # noqa: TRY004 - a value from outside
    names = {field.name for field in fields(Parameter)}
    checked = [_table(item, names, "a parameter") for item in data]
    if not all(isinstance(item.get("name"), str) for item in checked):
        raise ValueError("a parameter has no name")
    return tuple(Parameter(**{**item, "choices": tuple(item.get("choices", ()))}) for item in checked)


def result_to_json(result: CommandResult) -> dict[str, Any] | None:
    """What a command gave.

    Raises:
        TypeError: it is something else.
    """
    if result is None:
        return None
    for name, (kind, field) in _RESULTS.items():
        if isinstance(result, kind):
            return {"type": name, field: getattr(result, field)}
    raise TypeError(f"a {type(result).__name__} where the result of a command belongs")


def result_from_json(data: Any) -> CommandResult:
    """What a command gave, from what `result_to_json` made of it.

    Raises:
        ValueError: it is something else.
    """
    if data is None:
        return None
    name = data.get("type") if isinstance(data, dict) else None
    if name not in _RESULTS:
        raise ValueError(f"not the result of a command: {data!r:.100}")
    kind, field = _RESULTS[name]
    value = _table(data, {"type", field}, "a result").get(field)
    if not isinstance(value, str):
        raise ValueError(f"the field {field} of a result is no text")  # noqa: TRY004 - a value from outside
    result: CommandResult = kind(HostAction(value) if kind is Perform else value)
    return result


def credential_to_json(credential: Credential | None) -> dict[str, Any] | None:
    """A credential in plain, for the one call that signs in with it; without what only the app needs."""
    if credential is None:
        return None
    secrets = {
        name: secret.get_secret_value()
        for name, secret in credential.secrets.items()
        if name not in HOST_SECRETS
    }
    about = {"expires_at": credential.expires_at, "scopes": list(credential.scopes)}
    return {"secrets": secrets, "values": credential.values, **about}


def credential_from_json(data: Any) -> Credential | None:
    """A credential from what `credential_to_json` gave.

    Raises:
        ValueError: it is something else. Says nothing of what is in it.
    """
    if data is None:
        return None
    from registry.auth import Credential  # pydantic, only where somebody signed in

    return Credential.model_validate(data)


def _table(data: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(data, Mapping) or not names.issuperset(data):
        raise ValueError(f"{what} has only the fields {', '.join(sorted(names))}")
    return dict(data)
