"""Providers: who answers a chat request, which models they have, and how they fail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from registry.errors import JackfieldError

if TYPE_CHECKING:
    from registry.auth import Credential
    from registry.chat import ChatRequest, StreamEvent


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a provider. What is unknown is None, never a guess."""

    id: str
    name: str = ""
    """How people call it; the id when empty."""
    context_window: int | None = None
    """Tokens of prompt and answer together."""
    output_limit: int | None = None
    """Tokens of one answer."""
    modalities: tuple[str, ...] = ("text",)
    """What it reads: text, image, file."""
    reasoning: bool = False
    tools: bool = False

    @property
    def title(self) -> str:
        """The name to show."""
        return self.name or self.id

    @property
    def is_marked(self) -> bool:
        """Whether it is known what it can do; of a model without any mark nothing is."""
        return self.reasoning or self.tools or not set(self.modalities) <= {"text"}

    def reads(self, modality: str) -> bool | None:
        """Whether it reads text, image or file; None when that is not known."""
        return True if modality in self.modalities else False if self.is_marked else None


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a user may set for one conversation, as one model takes it."""

    name: str
    """As in `ChatRequest.parameters`; the app itself knows `temperature`, `max_tokens` and `effort`."""
    kind: Literal["number", "whole", "choice", "switch"] = "number"
    """A number, a whole number, one of `choices`, or true or false."""
    title: str = ""
    """How people call it; the name when empty."""
    least: float | None = None
    """The smallest number that is taken; None when there is no limit, or none is known."""
    most: float | None = None
    """The largest number that is taken."""
    choices: tuple[str, ...] = ()
    unit: str = ""
    """What the number counts, such as tokens."""

    @classmethod
    def temperature(cls, most: float = 2) -> Parameter:
        """How freely the model chooses its words: from 0 to `most`."""
        return cls("temperature", title="Temperature", least=0, most=most)

    @classmethod
    def max_tokens(cls, most: int | None = None, *, least: int = 1) -> Parameter:
        """The length that an answer may have, in tokens; `most` is the model's own limit if known."""
        return cls("max_tokens", "whole", title="Max tokens", least=least, most=most, unit="tokens")

    @classmethod
    def effort(cls, choices: Sequence[str]) -> Parameter:
        """How hard the model thinks, in the words that it takes."""
        return cls("effort", "choice", title="Effort", choices=tuple(choices))


class Provider(ABC):
    """Something that answers chat requests.

    `name`, `title` and `known_models` are data: they are kept in the plugin's manifest, so that a screen can
    list the provider before its code is imported.
    """

    name: str
    """Unique among all providers, as in `name/model`: lower-case letters, digits, `-`, `_` and `.`."""
    title: str = ""
    """How people call it; the name when empty."""
    known_models: Sequence[Model] = ()
    """Models that are known without asking anyone."""

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models that can be used now; by default the known ones.

        Args:
            credential: what the user signed in with, if anything.

        Raises:
            ProviderError: they could not be listed.
        """
        return self.known_models

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """What a user may set for a conversation with this model; by default nothing.

        The app asks before each request in which something is set, and sends only what is named here: answer
        from what is known, without asking a server.

        Args:
            model: one of `models`, perhaps with limits and marks that the app knows beside; or one that only
                the user knows, with nothing but its id.
        """
        return ()

    @abstractmethod
    def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """Answer a request with events, the last of which is `Finished`.

        Closing the iterator stops the answer at once and at the source.

        Raises:
            ProviderError: the answer failed; events already given stand.
        """

    async def aclose(self) -> None:  # noqa: B027 - most providers hold nothing
        """Let go of connections and processes; called when the plugin is switched off or the app ends."""


class ErrorKind(StrEnum):
    """What went wrong, as far as a person or a retry needs to know."""

    AUTH = "auth"
    PERMISSION = "permission"
    BILLING = "billing"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TRUNCATED_STREAM = "truncated_stream"
    CONTENT_FILTER = "content_filter"
    CANCELLED = "cancelled"
    PROTOCOL = "protocol"
    UNAVAILABLE = "unavailable"
    """This machine lacks what the provider needs: a processor feature, a library, room on the disk."""


_RETRYABLE = frozenset(
    {
        ErrorKind.RATE_LIMITED,
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER,
        ErrorKind.TIMEOUT,
        ErrorKind.CONNECTION,
        ErrorKind.TRUNCATED_STREAM,
    }
)


class ProviderError(JackfieldError):
    """A provider could not answer.

    Args:
        kind: the class of fault.
        title: what happened, in one line.
        detail: the cause, in the provider's words where it gave any.
        hint: what to do next.
        status: the HTTP status, where there was one.
        retry_after_s: how long the server asked to wait, in seconds.
        request_id: the server's name for this request.
    """

    def __init__(
        self,
        kind: ErrorKind,
        title: str,
        *,
        detail: str = "",
        hint: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(title, detail=detail, hint=hint)
        self.kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in _RETRYABLE
