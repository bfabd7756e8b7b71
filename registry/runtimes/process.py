"""A plugin whose code runs in a process of its own; to the registry it is a plugin like any other.

The process is started when the plugin is loaded, which is when it is first used, stopped when nobody has used
it for a while, and started again by the next call, also after a crash.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jackfield import __version__
from registry.command import Command, CommandCall, CommandResult
from registry.errors import PluginError
from registry.launch import Launch, Limits
from registry.manifest import Manifest, Runtime, describe
from registry.plugin import Plugin, PluginContext
from registry.provider import Provider
from registry.runtimes import codec
from registry.runtimes.faults import plugin_error, provider_error
from registry.runtimes.peer import Opening, Peer
from registry.runtimes.peer_errors import PeerError, RemoteFault
from registry.runtimes.remote_provider import RemoteProvider
from registry.runtimes.restarts import Restarts

if TYPE_CHECKING:
    from registry.auth import AuthMethod, Credential
    from registry.chat import ChatRequest, ChatResponse, StreamEvent

_SHORT_WAIT_S: Final = 1.0
"""A call waits for a restart that is due within this many seconds; else it fails at once."""
_PATIENCE_S: Final = 0.001
"""Hooks have a thread of their own, which may be held up for so long."""
_SAME: Final = ("name", "version", "guard", "hooks", "verifies", "auth_methods", "capabilities")
"""What a running plugin has to say of itself exactly as when it was described."""

_T = TypeVar("_T")


class ProcessPlugin(Plugin):
    """A plugin in a process of its own.

    Args:
        launch: how its process is started.
        manifest: what it said of itself when it was described; its process has to say the same.
        check_again: called in a thread before a process is started after the first, which whoever loads the
            plugin has checked; raises JackfieldError when it must not be.
    """

    def __new__(cls, _launch: Launch, manifest: Manifest, *_: object) -> ProcessPlugin:
        """An object with just the hooks that its manifest has, so that it is asked for no others."""
        return super().__new__(_with_methods(manifest.hooks, manifest.verifies))

    def __init__(
        self, launch: Launch, manifest: Manifest, check_again: Callable[[], None] = lambda: None
    ) -> None:
        self.name = manifest.name
        self.version = manifest.version
        self.summary = manifest.summary
        self.guard = manifest.guard
        self.capabilities = manifest.capabilities
        self.launch = launch
        self._manifest = manifest
        self._check_again = check_again
        self._start_params: Mapping[str, Any] = {}
        self._lock = threading.Lock()
        self._peer: Peer | None = None
        self._peers: set[Peer] = set()
        self._restarts = Restarts()
        self._closed = True
        self.start_ms: float | None = None
        """Milliseconds that it took to be ready when it was switched on; None before that."""

    def on_init(self, ctx: PluginContext) -> None:
        """Start its process and wait until it is ready.

        Raises:
            PluginError: it cannot be started, or no longer is what it was described as.
        """
        self._start_params = {
            "name": ctx.plugin,
            "options": dict(ctx.options),
            "data_folder": str(ctx.data_folder),
        }
        self._closed = False
        ctx.on_close(self.aclose)
        begun = time.monotonic()
        try:
            self._running_peer(lambda: None).ready.result()
        except (PeerError, RemoteFault) as error:
            raise plugin_error(error) from error
        self.start_ms = (time.monotonic() - begun) * 1000

    def auth_methods(self) -> Sequence[AuthMethod]:
        """As its manifest has them."""
        if not self._manifest.auth_methods:
            return ()
        from registry.auth import load_method  # pydantic, which few plugins need

        return [load_method(entry.data) for entry in self._manifest.auth_methods]

    def providers(self) -> Sequence[Provider]:
        """As its manifest has them; each asks its process."""
        return [RemoteProvider(entry, self) for entry in self._manifest.providers]

    def commands(self) -> Sequence[Command]:
        """As its manifest has them; each asks its process."""
        return [
            Command(entry.name, entry.summary, partial(self._run_command, entry.name), entry.argument)
            for entry in self._manifest.commands
        ]

    async def aclose(self) -> None:
        """Stop its process, and wait until that has ended."""
        with self._lock:
            self._closed = True
            peers = tuple(self._peers)
        for peer in peers:
            peer.stop()
        for peer in peers:
            await asyncio.wrap_future(peer.gone)

    @property
    def given_up(self) -> str:
        """Why it is not worth another start; empty while it is."""
        return "Its process crashed again and again." if self._restarts.given_up else ""

    @property
    def limits(self) -> Limits:
        """What its process may use."""
        return self.launch.limits

    async def call(
        self, method: str, params: Mapping[str, Any], limit_s: float, *, patience_s: float = 0.0
    ) -> Any:
        """The answer of its process.

        Args:
            method: what is called.
            params: with what.
            limit_s: how long to wait, in seconds.
            patience_s: how long this thread itself may be held up, in seconds.

        Raises:
            PeerError, RemoteFault: there is none.
        """
        peer = await self.ready_peer()
        answer = await peer.call(method, params, limit_s, patience_s=patience_s)
        self._restarts.note_success()
        return answer

    async def ready_peer(self) -> Peer:
        """Its process, started if need be.

        Raises:
            PeerError, RemoteFault: it cannot be started, or not yet again.
            PluginError: it is not what it was described as, or must not be started again.
        """
        peer = self._peer
        if peer is not None and peer.hold():
            return peer
        wait_s = 0.0 if self._is_running() else self._restarts.wait_s
        if wait_s > _SHORT_WAIT_S:
            raise PeerError(f"Its process crashed. It is started again in {wait_s:.0f} s.", ended=True)
        if wait_s:
            await asyncio.sleep(wait_s)
        peer = self._running_peer(self._check_again)
        await asyncio.wrap_future(peer.ready)
        return peer

    def note_success(self) -> None:
        """A stream came to its end."""
        self._restarts.note_success()

    def _is_running(self) -> bool:
        with self._lock:
            return self._peer is not None and self._peer.usable

    def _running_peer(self, may_start: Callable[[], None]) -> Peer:
        with self._lock:
            if self._closed:
                raise PeerError("It is switched off.", ended=True)
            if self._peer is None or not self._peer.usable:
                opening = Opening(self._check, self._start_params, may_start)
                self._peer = Peer(self.launch, opening, app_version=__version__)
                self._peers.add(self._peer)
                self._peer.gone.add_done_callback(partial(self._note_end, self._peer))
                self._peer.start()
            return self._peer

    def _note_end(self, peer: Peer, _gone: Future[PeerError]) -> None:
        with self._lock:
            self._peers.discard(peer)
        if peer.crashed:
            self._restarts.note_crash()

    def _check(self, said: Mapping[str, Any]) -> None:
        now = _manifest_of(self.launch, said)
        changed = [field for field in _SAME if getattr(now, field) != getattr(self._manifest, field)]
        for kind in ("providers", "commands"):
            names = [[entry.name for entry in getattr(manifest, kind)] for manifest in (now, self._manifest)]
            changed += [kind] if names[0] != names[1] else []
        if changed:
            raise PluginError(
                f"{self.name} is not what it was when it was installed",
                detail=f"It now says something else of its {', '.join(changed)}.",
                hint="Reload it to see what it has now, or install it again.",
            )

    async def _hook(
        self, hook: str, params: Mapping[str, Any], limit_s: float, change: Callable[[Any], _T]
    ) -> _T:
        try:
            return change(await self.call(f"hook/{hook}", params, limit_s, patience_s=_PATIENCE_S))
        except (PeerError, RemoteFault) as error:
            raise plugin_error(error) from error
        except (ValueError, TypeError, LookupError) as error:
            raise PluginError(f"{hook} gave what it must not", detail=str(error)) from error

    async def _run_command(self, name: str, call: CommandCall) -> CommandResult:
        messages = [codec.message_to_json(message) for message in call.messages]
        params = {"command": name, "argument": call.argument, "messages": messages}
        try:
            answer = await self.call("command/run", params, self.limits.call_s)
            return codec.result_from_json(answer["result"])
        except (PeerError, RemoteFault) as error:
            raise plugin_error(error) from error
        except (ValueError, TypeError, LookupError) as error:
            raise PluginError(f"/{name} gave what it must not", detail=str(error)) from error


async def describe_process(launch: Launch, *, publisher: str = "") -> Manifest:
    """The manifest of a plugin, made by starting its process and asking it.

    Args:
        launch: how it is started.
        publisher: who made it, as the manifest is to have it.

    Raises:
        PluginError: it could not be started, or breaks the contract.
    """
    found: list[Manifest] = []
    peer = Peer(
        launch, Opening(lambda said: found.append(_manifest_of(launch, said))), app_version=__version__
    )
    peer.start()
    try:
        await asyncio.wrap_future(peer.ready)
    except (PeerError, RemoteFault) as error:
        raise plugin_error(error) from error
    finally:
        peer.stop()
        await asyncio.wrap_future(peer.gone)
    return replace(found[0], publisher=publisher)


def _manifest_of(launch: Launch, said: Mapping[str, Any]) -> Manifest:
    """The manifest of what a process says of itself, checked as that of any plugin is.

    Raises:
        PluginError: it breaks the contract.
    """
    from registry.runtimes.description import manifest_of  # pydantic, only when a process starts

    try:
        described = describe(ProcessPlugin(launch, manifest_of(said)))
    except (ValueError, TypeError, LookupError) as error:  # pydantic's error is a ValueError
        raise PluginError("It does not describe itself as the protocol has it", detail=str(error)) from error
    return replace(described, runtime=Runtime.PROCESS, launch=launch)


async def _on_request(self: ProcessPlugin, request: ChatRequest) -> None:
    params = {"request": codec.request_to_json(request)}

    def change(answer: Any) -> None:
        if answer is not None:
            codec.change_request(request, answer["request"])

    await self._hook("on_request", params, self.limits.hook_s, change)


async def _on_response(self: ProcessPlugin, response: ChatResponse) -> None:
    params = {"response": codec.response_to_json(response)}

    def change(answer: Any) -> None:
        if answer is not None:
            codec.change_response(response, answer["response"])

    await self._hook("on_response", params, self.limits.hook_s, change)


async def _on_event(self: ProcessPlugin, event: StreamEvent) -> StreamEvent | None:
    def change(answer: Any) -> StreamEvent | None:
        if answer is None:
            return event
        return None if answer["event"] is None else codec.event_from_json(answer["event"])

    params = {"event": codec.event_to_json(event)}
    return await self._hook("on_event", params, self.limits.event_s, change)


async def _verify(self: ProcessPlugin, credential: Credential) -> None:
    params = {"credential": codec.credential_to_json(credential)}
    try:
        await self.call("verify", params, self.limits.call_s)
    except (PeerError, RemoteFault) as error:
        raise provider_error(self.name, error) from error


_METHODS: Final[dict[str, Callable[..., Any]]] = {
    "on_request": _on_request,
    "on_response": _on_response,
    "on_event": _on_event,
}


@lru_cache(maxsize=64)
def _with_methods(hooks: tuple[str, ...], verifies: bool) -> type[ProcessPlugin]:
    methods = {hook: _METHODS[hook] for hook in hooks} | ({"verify": _verify} if verifies else {})
    return type("ProcessPlugin", (ProcessPlugin,), methods)


__all__ = ["Launch", "Limits", "ProcessPlugin", "describe_process"]
