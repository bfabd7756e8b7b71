"""A provider in a plugin's process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from registry.launch import Limits
from registry.manifest import ProviderEntry
from registry.provider import ErrorKind, Model, Parameter, Provider, ProviderError
from registry.runtimes import codec
from registry.runtimes.faults import provider_error
from registry.runtimes.peer import Peer
from registry.runtimes.peer_errors import PeerError, RemoteFault
from registry.runtimes.remote_stream import MAX_ANSWER, AnswerTooLong

if TYPE_CHECKING:
    from registry.auth import Credential
    from registry.chat import ChatRequest, StreamEvent

_T = TypeVar("_T")


class Caller(Protocol):
    """Who can ask the process: the plugin that it belongs to."""

    @property
    def limits(self) -> Limits:
        """What its process may use."""

    async def call(self, method: str, params: Mapping[str, Any], limit_s: float) -> Any:
        """The answer of its process."""

    async def ready_peer(self) -> Peer:
        """Its process, started if need be."""

    def note_success(self) -> None:
        """A stream came to its end."""


class RemoteProvider(Provider):
    """To whoever asks it, a provider like any other.

    Args:
        entry: as the manifest has it.
        plugin: whose it is.
    """

    def __init__(self, entry: ProviderEntry, plugin: Caller) -> None:
        self.name = entry.name
        self.title = entry.title
        self.known_models = entry.models
        self._plugin = plugin

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """The models that can be used now.

        Raises:
            ProviderError: they could not be listed.
        """
        params = {"provider": self.name, "credential": codec.credential_to_json(credential)}
        return await self._ask(
            "provider/models", params, lambda answer: codec.models_from_json(answer["models"])
        )

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """What may be set for a conversation with this model.

        Raises:
            ProviderError: that could not be asked.
        """
        params = {"provider": self.name, "model": codec.model_to_json(model)}
        return await self._ask(
            "provider/parameters", params, lambda answer: codec.parameters_from_json(answer["parameters"])
        )

    async def _ask(self, method: str, params: Mapping[str, Any], read: Callable[[Any], _T]) -> _T:
        try:
            return read(await self._plugin.call(method, params, self._plugin.limits.call_s))
        except (PeerError, RemoteFault) as error:
            raise provider_error(self.title or self.name, error) from error
        except (ValueError, TypeError, LookupError) as error:
            fault = RemoteFault({"title": f"Its answer to {method} is wrong", "detail": str(error)})
            raise provider_error(self.title or self.name, fault) from error

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """The events of an answer. Closing the iterator stops it at the source.

        Raises:
            ProviderError: the answer failed; events already given stand.
        """
        params = {
            "provider": self.name,
            "request": codec.request_to_json(request),
            "credential": codec.credential_to_json(credential),
        }
        try:
            peer = await self._plugin.ready_peer()
            async with aclosing(peer.stream("provider/stream", params)) as batches:
                async for events in batches:
                    for event in events:
                        yield event
        except AnswerTooLong as error:
            raise ProviderError(
                ErrorKind.TOO_LARGE,
                f"The answer of {self.title or self.name} has no end",
                detail=f"It was stopped after {MAX_ANSWER:,} bytes.",
                hint="What came is kept. Ask for less at once, or tell the author of the plugin.",
            ) from error
        except (PeerError, RemoteFault) as error:
            raise provider_error(self.title or self.name, error) from error
        self._plugin.note_success()
