"""The other end of the pipe for Python plugins: serves one plugin, in a process that `launcher.py` started.

It stands on the public contract: it loads, initialises and closes the plugin with the same functions as the
app does for a built-in one.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import select
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

from registry.command import CommandCall
from registry.contract import explain
from registry.errors import JackfieldError, PluginError
from registry.loading import load_plugin
from registry.provider import Provider, ProviderError
from registry.running import Corner, Running, start
from registry.runtimes import codec
from registry.runtimes.app_packages import use_path
from registry.runtimes.description import describe_as_json
from registry.runtimes.framing import (
    CANCELLED,
    MAX_EVENTS_MESSAGE,
    MAX_MESSAGE,
    PROTOCOL,
    Lines,
    MessageError,
    decode,
    encode,
)
from registry.runtimes.outbox import Outbox

_FAULT: Final = -32000
_STAY_S: Final = 0.002
_READ: Final = 1 << 16
"""What a pipe holds at most, in bytes. To ask for more costs as much as all else of a short message."""
_BROKEN_PIPE: Final = 70


def serve(config: Mapping[str, Any]) -> NoReturn:
    """Answer until the app stops it or goes away."""
    try:
        source, target = _take_over_stdio()
        use_path(config["folder"], config["app"], config["path"])
        # the code of an installed plugin stays what was installed, and nothing runs in its place: bytecode
        # that is kept elsewhere could be anybody's
        sys.dont_write_bytecode = True
        asyncio.run(_serve(config["entry_point"], source, target))
    except BaseException:  # noqa: BLE001 - whatever ends it: the app reads why
        traceback.print_exc()
        _exit(1)
    _exit(0)


async def _serve(entry_point: str, source: int, target: int) -> None:
    child = Child(entry_point, source, target)
    asyncio.get_running_loop().add_reader(source, child.read)
    await child.stopped.wait()
    _exit(0)


def _take_over_stdio() -> tuple[int, int]:
    """Keep the real pipes for messages; what the plugin reads is empty, what it prints goes to stderr."""
    source, target = os.dup(0), os.dup(1)  # not inherited by programs that the plugin starts
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, target


def _exit(status: int) -> NoReturn:
    """At once: threads and exit handlers that a plugin left behind do not keep the process."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)


class Child:
    """One plugin and what it is asked.

    Args:
        entry_point: of the plugin.
        source: the descriptor that messages are read from.
        target: the descriptor that messages are written to.
    """

    def __init__(self, entry_point: str, source: int, target: int) -> None:
        self.stopped = asyncio.Event()
        self._entry_point = entry_point
        self._source = source
        self._target = target
        self._poller = select.poll()
        self._poller.register(source, select.POLLIN)
        self._process = os.getpid()
        self._lines = Lines()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._outboxes: dict[int, Outbox] = {}
        self._running: Running | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._methods: dict[str, Callable[[int, Any], Awaitable[object]]] = {
            "initialize": self._initialize,
            "start": self._start,
            "verify": self._verify,
            "hook/on_request": self._on_request,
            "hook/on_response": self._on_response,
            "hook/on_event": self._on_event,
            "provider/models": self._list_models,
            "provider/parameters": self._list_parameters,
            "provider/stream": self._stream,
            "command/run": self._run_command,
        }

    def read(self) -> None:
        """Take what is there of the app's messages; without any, the app has gone away."""
        for message in self._messages():
            self._take(message)

    def _messages(self) -> list[dict[str, Any]]:
        try:
            piece = os.read(self._source, _READ)
            messages = [decode(line) for line in self._lines.feed(piece)]
        except BaseException:  # noqa: BLE001 - no plugin is to blame, and no call can be answered any more
            traceback.print_exc()
            _exit(_BROKEN_PIPE)
        if not piece:
            asyncio.get_running_loop().remove_reader(self._source)
            if self._stopping is None:
                _exit(0)
        return messages

    def _take(self, message: Mapping[str, Any]) -> None:
        method, params = message["method"], message["params"]
        if "id" in message:
            task = asyncio.ensure_future(self._work(message))
            self._tasks[message["id"]] = task
        elif method == "$/cancel":
            # not before its first step, which was put off in the same way: it has to answer all the same
            asyncio.get_running_loop().call_soon(self._cancel, params["id"])
        elif method == "$/more":
            if params["id"] in self._outboxes:
                self._outboxes[params["id"]].allow(params["events"], params["bytes"])
        elif method == "stop" and self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())

    def _cancel(self, number: int) -> None:
        if number in self._tasks:
            self._tasks[number].cancel()

    async def _work(self, call: Mapping[str, Any] | None) -> None:
        """Answer a call, and those that follow it at once."""
        while call is not None:
            await self._answer(call["id"], call["method"], call["params"])
            task = self._tasks.pop(call["id"])
            call = self._next_hook(task) if call["method"].startswith("hook/") else None

    def _next_hook(self, task: asyncio.Task[None]) -> Mapping[str, Any] | None:
        """The hook that is called next, if that is within `_STAY_S` seconds and nothing else is to be done.

        Events come in bursts, and going round the event loop takes longer than most hooks.
        """
        if self._tasks or self._stopping is not None or not self._poller.poll(_STAY_S * 1000):
            return None
        first, *others = self._messages() or [{}]
        is_hook = "id" in first and first["method"].startswith("hook/")
        if is_hook:
            self._tasks[first["id"]] = task
        for message in others if is_hook else [first, *others]:
            if message:
                self._take(message)
        return first if is_hook else None

    async def _answer(self, number: int, method: str, params: Any) -> None:
        try:
            if method not in self._methods:
                raise PluginError(f"There is no method {method}")
            answer: dict[str, Any] = {"result": await self._methods[method](number, params)}
        except asyncio.CancelledError:
            _forget_cancellation()
            answer = {"error": {"code": CANCELLED, "message": "cancelled"}}
        except BaseException as error:  # noqa: BLE001 - the border to a plugin's code: the app is told what it raised
            answer = {"error": _error(error)}
        self._send_answer(number, answer)

    def _send_answer(self, number: int, answer: dict[str, Any]) -> None:
        try:
            self.send({"id": number, **answer})
        except (MessageError, TypeError, ValueError) as error:  # what it gave is too long, or is no JSON
            self.send(
                {"id": number, "error": _error(PluginError("Its answer cannot be sent", detail=str(error)))}
            )

    def send(self, message: Mapping[str, Any], most: int = MAX_MESSAGE) -> int:
        """Write a message of at most so many bytes. Waits while the pipe is full: the app reads all the time.

        Returns:
            How many bytes it took.

        Raises:
            MessageError, TypeError, ValueError: it cannot be written as one.
        """
        line = encode({"jsonrpc": "2.0", **message}, most)
        rest = memoryview(line)
        if os.getpid() != self._process:
            os._exit(0)  # the plugin forked: only one of us may speak
        while rest:
            rest = rest[os.write(self._target, rest) :]
        return len(line)

    async def _initialize(self, _number: int, params: Any) -> dict[str, Any]:
        if params["protocol"] != PROTOCOL:
            return {"protocol": PROTOCOL, "plugin": {}}
        return {"protocol": PROTOCOL, "plugin": describe_as_json(load_plugin(self._entry_point))}

    async def _start(self, _number: int, params: Any) -> None:
        corner = Corner(params["name"], params["options"], Path(params["data_folder"]))
        self._running = await start(lambda: load_plugin(self._entry_point), corner)

    async def _stop(self) -> None:
        for task in [*self._tasks.values()]:
            task.cancel()
        if self._running is not None:
            problem = await self._running.close()
            if problem:
                sys.stderr.write(problem + "\n")
        self.stopped.set()

    @property
    def _used(self) -> Running:
        if self._running is None:
            raise PluginError("It was used before it was started")
        return self._running

    def _provider(self, params: Any) -> Provider:
        return self._used.providers[params["provider"]]

    async def _verify(self, _number: int, params: Any) -> None:
        credential = codec.credential_from_json(params["credential"])
        if credential is not None:
            await self._used.plugin.verify(credential)

    async def _on_request(self, _number: int, params: Any) -> dict[str, Any] | None:
        request = codec.request_from_json(params["request"])
        before = request.copy()
        _expect_nothing("on_request", await _result_of(self._used.plugin.on_request(request)))
        changes = codec.request_changes(before, request)
        return None if changes is None else {"request": changes}

    async def _on_response(self, _number: int, params: Any) -> dict[str, Any] | None:
        response = codec.response_from_json(params["response"])
        before = response.copy()
        _expect_nothing("on_response", await _result_of(self._used.plugin.on_response(response)))
        changes = codec.response_changes(before, response)
        return None if changes is None else {"response": changes}

    async def _on_event(self, _number: int, params: Any) -> dict[str, Any] | None:
        event = codec.event_from_json(params["event"])
        after = await _result_of(self._used.plugin.on_event(event))
        if after is event:
            return None
        return {"event": None if after is None else codec.event_to_json(after)}

    async def _list_models(self, _number: int, params: Any) -> dict[str, Any]:
        credential = codec.credential_from_json(params["credential"])
        models = await self._provider(params).models(credential)
        return {"models": [asdict(model) for model in models]}

    async def _list_parameters(self, _number: int, params: Any) -> dict[str, Any]:
        model = codec.models_from_json([params["model"]])[0]
        parameters = await self._provider(params).parameters(model)
        return {"parameters": [asdict(parameter) for parameter in parameters]}

    async def _run_command(self, _number: int, params: Any) -> dict[str, Any]:
        messages = tuple(codec.message_from_json(message) for message in params["messages"])
        command = self._used.commands[params["command"]]
        result = await _result_of(command.run(CommandCall(params["argument"], messages)))
        return {"result": codec.result_to_json(result)}

    async def _stream(self, number: int, params: Any) -> None:
        request = codec.request_from_json(params["request"])
        credential = codec.credential_from_json(params["credential"])
        stream = self._provider(params).stream(request, credential)
        outbox = Outbox(
            params["window"], params["window_bytes"], lambda events: self._send_events(number, events)
        )
        self._outboxes[number] = outbox
        try:
            async for event in stream:
                await outbox.put(codec.event_to_json(event))
            outbox.flush()
        finally:
            outbox.flush_quietly()
            del self._outboxes[number]
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    def _send_events(self, number: int, events: list[dict[str, Any]]) -> int:
        params = {"id": number, "events": events}
        return self.send({"method": "provider/events", "params": params}, MAX_EVENTS_MESSAGE)


async def _result_of(returned: Any) -> Any:
    """What a function of the plugin gave, which may be plain or asynchronous."""
    return await returned if inspect.isawaitable(returned) else returned


def _forget_cancellation() -> None:
    """What was cancelled was one call; the task goes on to answer it."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _expect_nothing(hook: str, returned: object) -> None:
    if returned is not None:
        raise PluginError(f"{hook} gave a {type(returned).__name__}; it changes what it is given in place")


def _error(error: BaseException) -> dict[str, Any]:
    data: dict[str, Any] = {"title": explain(error)}
    if isinstance(error, JackfieldError):
        data = {"title": error.title, "detail": error.detail, "hint": error.hint}
    else:
        traceback.print_exception(error)
    if isinstance(error, ProviderError):
        about = {"status": error.status, "retry_after_s": error.retry_after_s, "request_id": error.request_id}
        data |= {"kind": error.kind, **about}
    return {"code": _FAULT, "message": data["title"], "data": data}
