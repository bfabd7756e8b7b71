"""Plugins on disk for processes of their own, written by the tests."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

from jackfield import ChatRequest, Message, PluginContext
from registry.manifest import Manifest
from registry.paths import Paths
from registry.plugin import Plugin
from registry.registry import PluginRegistry
from registry.runtimes.process import Launch, Limits, ProcessPlugin, describe_process

PATIENT = Limits(hook_s=60.0, event_s=60.0, call_s=60.0, cancel_s=60.0, stop_s=60.0, start_s=60.0)
"""Limits that end nothing within a test, however slow the machine is."""
QUICK = Limits(hook_s=1.0, event_s=1.0, call_s=1.5, cancel_s=0.3, stop_s=0.5, start_s=60.0)
"""Limits for a plugin that hangs, which then does not hold up the tests."""

EVERYTHING = """
import asyncio
from jackfield import *

class Echo(Provider):
    name = "echo"
    title = "Echo"
    known_models = (Model("one", "Model one", context_window=1000),)

    async def models(self, credential):
        return [Model("listed", reasoning=True)]

    async def parameters(self, model):
        return [Parameter.temperature()] if model.id == "one" else []

    async def stream(self, request, credential):
        yield Started("1", request.model)
        for word in request.messages[-1].text.split():
            yield TextDelta(word + " ")
        if credential:
            yield TextDelta(f"signed in with {len(credential.token)} characters")
        yield UsageReceived(Usage(1, 0, 0, 2))
        yield Finished(StopReason.END, Usage(1, 0, 0, 2), {"id": "1"})

async def shout(call):
    return Show(call.argument.upper() + f" after {len(call.messages)}")

async def leave(call):
    return Perform(HostAction.QUIT)

class Everything(Plugin):
    name = "everything"
    version = "1.2.0"
    summary = "Has one of each"
    capabilities = Capabilities(hosts=("api.acme.com",))

    def on_init(self, ctx):
        self.suffix = ctx.options.get("suffix", "")
        ctx.data_folder.mkdir(parents=True, exist_ok=True)
        self.closed = ctx.data_folder / "closed"
        ctx.on_close(self.closed.touch)

    def auth_methods(self):
        return [ApiKey(env=("EVERYTHING_KEY",))]

    async def verify(self, credential):
        if credential.token != "a good key":
            raise ProviderError(ErrorKind.AUTH, "The key is no good", detail="said the server", status=401)

    def providers(self):
        return [Echo()]

    def commands(self):
        return [Command("shout", "Shouts", shout, "TEXT"), Command("leave", "Leaves", leave)]

    async def on_request(self, request):
        last = request.messages[-1]
        request.messages[-1] = last.with_text(last.text + self.suffix)
        request.parameters["temperature"] = 0.5

    def on_response(self, response):
        response.message = response.message.with_text(response.message.text.title())

    async def on_event(self, event):
        if isinstance(event, TextDelta):
            return TextDelta(event.text.replace("b", "p")) if event.text.strip() != "drop" else None
        return event
"""

MINIMAL = """
from jackfield import *

class Minimal(Plugin):
    name = "minimal"
    version = "1.0"
"""


def write_plugin(folder: Path, code: str, limits: Limits = PATIENT) -> Launch:
    """A Python plugin whose class is the last one in the code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "written.py").write_text(dedent(code), encoding="utf-8")
    name = [line for line in dedent(code).splitlines() if line.startswith("class ")][-1]
    attribute = name.removeprefix("class ").partition("(")[0]
    return Launch(None, folder, f"written:{attribute}", limits=limits)


def write_hook(folder: Path, body: str, limits: Limits = PATIENT) -> Launch:
    """A plugin that does this in its request hook."""
    code = "import ctypes, os, signal, sys, time\nfrom jackfield import *\n\nclass Hooked(Plugin):\n"
    code += "    name = 'hooked'\n    version = '1.0'\n    async def on_request(self, request):\n"
    code += "".join(f"        {line}\n" for line in dedent(body).strip().splitlines())
    return write_plugin(folder, code, limits)


def write_raw(folder: Path, then: str, limits: Limits = PATIENT, **said: Any) -> Launch:
    """A program that shakes hands in its own words, and does `then` with each further `message`."""
    description = {"name": "raw", "version": "1.0", "hooks": ["on_request"], **said}
    code = f"""\
import json, os, sys, time
def put(text): sys.stdout.write(text + "\\n"); sys.stdout.flush()
def send(**message): put(json.dumps({{"jsonrpc": "2.0", **message}}))
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        send(id=message["id"], result={{"protocol": 1, "plugin": json.loads({json.dumps(description)!r})}})
    elif message["method"] == "start":
        send(id=message["id"], result=None)
    elif message["method"] == "stop":
        sys.exit(0)
    else:
"""
    code += "".join(f"        {line}\n" for line in dedent(then).strip().splitlines())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "raw.py").write_text(code, encoding="utf-8")
    return Launch((sys.executable, "-I", "-S", "raw.py"), folder, "", limits=limits)


def context(folder: Path, **options: object) -> PluginContext:
    return PluginContext("written", options, folder / "data", logging.getLogger("test"))


@asynccontextmanager
async def started(launch: Launch, folder: Path, **options: object) -> AsyncIterator[ProcessPlugin]:
    """The plugin, described, started, and closed at the end."""
    plugin = ProcessPlugin(launch, await describe_process(launch))
    async with running(plugin, folder, **options):
        yield plugin


@asynccontextmanager
async def running(plugin: Plugin, folder: Path, **options: object) -> AsyncIterator[None]:
    """Start a plugin and close it at the end."""
    ctx = context(folder, **options)
    try:
        await asyncio.to_thread(plugin.on_init, ctx)
        yield
    finally:
        for close in reversed(ctx._closers):
            await close()  # type: ignore[misc]


def registry_of(folder: Path, *manifests: Manifest) -> PluginRegistry:
    """A registry in which these are on."""
    registry = PluginRegistry(Paths(folder / "config", folder / "data", folder / "cache"))
    for manifest in manifests:
        registry.register_manifest(manifest, enabled=True)
    return registry


def request(text: str = "Hi", provider: str = "echo") -> ChatRequest:
    return ChatRequest("one", [Message.of("user", "before"), Message.of("user", text)], provider)


def with_limits(launch: Launch, **limits: float) -> Launch:
    return replace(launch, limits=replace(launch.limits, **limits))  # type: ignore[arg-type]


def sent_by(launch: Launch, name: str) -> Any:
    """What a plugin wrote into a file beside its code, as JSON."""
    return json.loads((launch.folder / name).read_text(encoding="utf-8"))
