"""What a process of its own costs a plugin: a hook call, and a provider's tokens per second."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from statistics import median

from jackfield import ChatRequest, Message, Plugin, PluginContext
from registry.launch import Launch
from registry.loading import load_plugin
from registry.paths import Paths
from registry.registry import PluginRegistry
from registry.runtimes import codec
from registry.runtimes.framing import encode
from registry.runtimes.process import ProcessPlugin, describe_process
from registry.turn import Turn
from tests.benchmarks.table import Row

CALLS = 4000
TOKENS = 20_000
SIZE = 350
"""Bytes of the request that the hook is given, as JSON."""
HOOK_BUDGET_US = 150.0
RATIO_BUDGET = 1.25
"""Time of the process to that of the built-in: 80 % of its tokens per second."""

_PLUGIN = """
from jackfield import *

class Tokens(Provider):
    name = "tokens"
    known_models = (Model("m"),)
    async def stream(self, request, credential):
        for number in range(int(request.messages[-1].text)):
            yield TextDelta("token ")
        yield Finished()

class TokensPlugin(Plugin):
    name = "tokens"
    version = "1.0"
    def providers(self):
        return [Tokens()]

class HookPlugin(Plugin):
    name = "hook"
    version = "1.0"
    async def on_request(self, request):
        request.system = "Be brief."
"""
_ECHO = "import os\nwhile data := os.read(0, 65536): os.write(1, data)"


def request_of(size: int) -> ChatRequest:
    """A request that takes so many bytes as JSON."""
    empty = len(encode(codec.request_to_json(ChatRequest("m", [Message.of("user", "")], "tokens"))))
    return ChatRequest("m", [Message.of("user", "x" * (size - empty))], "tokens")


def _bare_us(calls: int) -> float:
    """The median of bare messages of the same size to another interpreter and back, in microseconds."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    data = {"text": "x" * (SIZE - 12)}
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        os.write(process.stdin.fileno(), json.dumps(data).encode())
        json.loads(os.read(process.stdout.fileno(), 65536))
        times.append(time.perf_counter() - begun)
    process.kill()
    process.communicate()
    return median(times) * 1e6


async def _hook_us(plugin: Plugin, calls: int) -> float:
    request = request_of(SIZE)
    times = []
    for _ in range(calls):
        copy = request.copy()
        begun = time.perf_counter()
        await plugin.on_request(copy)
        times.append(time.perf_counter() - begun)
    return median(times[calls // 10 :]) * 1e6


async def _hook_figures(folder: Path, calls: int) -> tuple[float, float]:
    """The least of eight medians, of calls and of bare messages: other programs' turns are none of ours."""
    launch = Launch(None, folder, "bench_plugin:HookPlugin")
    plugin = ProcessPlugin(launch, await describe_process(launch))
    await asyncio.to_thread(plugin.on_init, PluginContext("hook", {}, folder, logging.getLogger("bench")))
    rounds = [(await _hook_us(plugin, calls // 8), _bare_us(calls // 8)) for _ in range(8)]
    await plugin.aclose()
    return min(hook for hook, _ in rounds), min(bare for _, bare in rounds)


async def _stream_s(registry: PluginRegistry, tokens: int) -> float:
    """How long a turn of so many tokens takes, in seconds."""
    request = ChatRequest("m", [Message.of("user", str(tokens))], "tokens")
    begun = time.perf_counter()
    async with aclosing(Turn(registry, request).events()) as events:
        async for _ in events:
            pass
    return time.perf_counter() - begun


async def _token_figures(folder: Path, tokens: int) -> tuple[float, float]:
    launch = Launch(None, folder, "bench_plugin:TokensPlugin")
    paths = Paths(folder / "config", folder / "data", folder / "cache")
    apart, built_in = PluginRegistry(paths), PluginRegistry(paths)
    apart.register_manifest(await describe_process(launch), enabled=True)
    sys.path.insert(0, str(folder))
    try:
        built_in.register(load_plugin(launch.entry_point))
    finally:
        sys.path.remove(str(folder))
    for registry in (apart, built_in):
        await _stream_s(registry, 10)
    rounds = [(await _stream_s(apart, tokens), await _stream_s(built_in, tokens)) for _ in range(5)]
    await asyncio.gather(apart.aclose(), built_in.aclose())
    return median([one for one, _ in rounds]), median([other for _, other in rounds])


def rows(quick: bool) -> Iterator[Row]:
    """A hook call, alone and against a bare message; tokens of a stream."""
    scale = 10 if quick else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench_plugin.py").write_text(_PLUGIN, encoding="utf-8")
        hook, bare = asyncio.run(_hook_figures(folder, CALLS // scale))
        apart, built_in = asyncio.run(_token_figures(folder, TOKENS // scale))
    detail = f"a bare message to another interpreter and back: {bare:.0f} us"
    yield Row(f"hook call in a process of its own, {SIZE} B", hook, HOOK_BUDGET_US, unit="us", detail=detail)
    yield Row("the same against the bare message", hook / bare, detail=f"{hook:.0f} us to {bare:.0f} us")
    speeds = [TOKENS / scale / seconds for seconds in (apart, built_in)]
    detail = f"{speeds[0]:.0f} tokens/s to {speeds[1]:.0f}, {speeds[0] / speeds[1]:.0%}"
    yield Row(
        "a turn's tokens from a process to built in: time", apart / built_in, RATIO_BUDGET, detail=detail
    )
