"""The files of a new plugin. `@name@`, `@module@`, `@class@` and `@title@` stand for what was chosen."""

from __future__ import annotations

from typing import Final

PYPROJECT: Final = """\
[build-system]
requires = ["hatchling>=1.27,<2"]
build-backend = "hatchling.build"

[project]
name = "@name@"
description = "@summary@"
readme = "README.md"
license = "MIT"
requires-python = ">=3.11"
dynamic = ["version"]
dependencies = [] # the app brings jackfield, pydantic and httpx; name here what else you import

[project.entry-points."jackfield.plugins"]
@name@ = "@module@:@class@Plugin"

[tool.hatch.version]
path = "@module@.py"

[tool.hatch.build.targets.wheel]
only-include = ["@module@.py"]

[tool.pytest.ini_options]
pythonpath = ["."]
"""

PLUGIN_TOML: Final = """\
# What the marketplace says of this plugin beside what pyproject.toml and its code say.
tags = ["@kind@"]
"""

CHANGELOG: Final = """\
# Changes

## 0.1.0

- The first version.
"""

IGNORED: Final = """\
__pycache__/
.pytest_cache/
.venv/
dist/
"""

README: Final = """\
# @title@

@summary@

## What it asks for

@asks@

## Work on it

```sh
pytest                         # where jackfield and pytest are installed
jackfield plugins check .      # what a marketplace would find
```
"""

COMMAND: Final = '''\
"""@summary@"""

from collections.abc import Sequence

from jackfield import Command, CommandCall, CommandResult, Plugin, Show

__version__ = "0.1.0"


class @class@Plugin(Plugin):
    """One command. `Show`, `Send`, `Fill` and `Perform` say what the app shall do."""

    name = "@name@"
    version = __version__
    summary = "@summary@"

    def commands(self) -> Sequence[Command]:
        """What can be typed after `/`."""
        return [Command("@name@", "Count words", count, "TEXT")]


async def count(call: CommandCall) -> CommandResult:
    """Count the words of what was typed; without a text, those of the conversation."""
    texts = [call.argument] if call.argument else [message.text for message in call.messages]
    return Show(f"**{sum(len(text.split()) for text in texts)}** words")
'''

COMMAND_TEST: Final = '''\
"""What /@name@ shows."""

import asyncio

from @module@ import count

from jackfield import CommandCall, CommandResult, Message, Show


def typed(argument: str, *said: str) -> CommandResult:
    async def run() -> CommandResult:
        return await count(CommandCall(argument, tuple(Message.of("user", text) for text in said)))

    return asyncio.run(run())


def test_it_counts_what_was_typed() -> None:
    assert typed("one two  three") == Show("**3** words")


def test_without_a_text_it_counts_the_conversation() -> None:
    assert typed("", "hello there", "you") == Show("**3** words")
'''

HOOK: Final = '''\
"""@summary@"""

from jackfield import ChatRequest, Plugin, PluginContext

__version__ = "0.1.0"


class @class@Plugin(Plugin):
    """One hook. It gets a copy of the request and changes it in place."""

    name = "@name@"
    version = __version__
    summary = "@summary@"

    def __init__(self) -> None:
        self._text = "Answer in plain words."

    def on_init(self, ctx: PluginContext) -> None:
        """Read the option `text`: the table [plugins.@name@.options] of config.toml."""
        self._text = str(ctx.options.get("text", self._text))

    async def on_request(self, request: ChatRequest) -> None:
        """Say it to the model before everything else."""
        request.system = f"{request.system}\\n\\n{self._text}" if request.system else self._text
'''

HOOK_TEST: Final = '''\
"""What is sent with every request."""

import asyncio

from @module@ import @class@Plugin

from jackfield import ChatRequest, Message


def sent(system: str | None) -> str | None:
    request = ChatRequest("model", [Message.of("user", "Hello")], system=system)
    asyncio.run(@class@Plugin().on_request(request))
    return request.system


def test_it_becomes_the_system_prompt() -> None:
    assert sent(None) == "Answer in plain words."


def test_it_follows_the_system_prompt_that_is_there() -> None:
    assert sent("You are a pirate.") == "You are a pirate.\\n\\nAnswer in plain words."
'''

PROVIDER: Final = '''\
"""@summary@"""

import json
from collections.abc import AsyncIterator, Sequence

import httpx

from jackfield import (
    ApiKey,
    AuthMethod,
    Capabilities,
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Model,
    Plugin,
    PluginContext,
    Provider,
    ProviderError,
    StreamEvent,
    TextDelta,
)

__version__ = "0.1.0"


class @class@(Provider):
    """A server with the Chat Completions protocol."""

    name = "@name@"
    title = "@title@"
    known_models = (Model("model-1", "Model 1"),)
    client: httpx.AsyncClient

    async def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """Ask, and pass on what comes. Whatever fails is raised as a ProviderError."""
        messages = [{"role": message.role, "content": message.text} for message in request.messages]
        if request.system:
            messages.insert(0, {"role": "system", "content": request.system})
        body = {"model": request.model, "messages": messages, "stream": True}
        headers = {"authorization": f"Bearer {credential.token}"} if credential else {}
        try:
            async with self.client.stream("POST", "chat/completions", json=body, headers=headers) as answer:
                if answer.status_code != 200:
                    kind = ErrorKind.AUTH if answer.status_code == 401 else ErrorKind.SERVER
                    title = f"{self.title} answered with status {answer.status_code}"
                    raise ProviderError(kind, title, status=answer.status_code)
                async for line in answer.aiter_lines():
                    if line == "data: [DONE]":
                        yield Finished()
                    elif line.startswith("data: "):
                        for choice in json.loads(line.removeprefix("data: "))["choices"]:
                            if text := choice["delta"].get("content"):
                                yield TextDelta(text)
        except httpx.HTTPError as error:
            title = f"{self.title} cannot be reached"
            raise ProviderError(ErrorKind.CONNECTION, title, detail=str(error)) from error


class @class@Plugin(Plugin):
    """One provider, and one key. The app asks for the key and keeps it."""

    name = "@name@"
    version = __version__
    summary = "@summary@"
    capabilities = Capabilities(hosts=("api.example.com",))

    def __init__(self) -> None:
        self.provider = @class@()

    def on_init(self, ctx: PluginContext) -> None:
        """Read the option `base_url`: the table [plugins.@name@.options] of config.toml."""
        url = str(ctx.options.get("base_url", "https://api.example.com/v1"))
        self.provider.client = ctx.http_client(base_url=url)

    def auth_methods(self) -> Sequence[AuthMethod]:
        """How a user signs in."""
        return [ApiKey(key_url="https://api.example.com/keys")]

    def providers(self) -> Sequence[Provider]:
        """Who answers."""
        return [self.provider]
'''

PROVIDER_TEST: Final = '''\
"""The provider against a small server of the same protocol."""

import asyncio
import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from @module@ import @class@Plugin

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Message,
    PluginContext,
    ProviderError,
    TextDelta,
)


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200 if self.headers["authorization"] == "Bearer good" else 401)
        self.end_headers()
        for word in asked["messages"][-1]["content"].split():
            chunk = {"choices": [{"delta": {"content": f"{word} "}}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\\n\\n".encode())
        self.wfile.write(b"data: [DONE]\\n\\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/"
    server.shutdown()
    server.server_close()
    thread.join(5)


def answer(url: str, key: str) -> list[object]:
    plugin = @class@Plugin()
    options = {"base_url": url}
    plugin.on_init(PluginContext(plugin.name, options, Path("unused"), logging.getLogger(plugin.name)))
    request = ChatRequest("model-1", [Message.of("user", "hello there")])
    credential = Credential.model_validate({"secrets": {"key": key}})

    async def run() -> list[object]:
        async with plugin.provider.client:
            return [event async for event in plugin.provider.stream(request, credential)]

    return asyncio.run(run())


def test_an_answer_comes_in_pieces(url: str) -> None:
    assert answer(url, "good") == [TextDelta("hello "), TextDelta("there "), Finished()]


def test_a_wrong_key_is_an_error_of_signing_in(url: str) -> None:
    with pytest.raises(ProviderError) as raised:
        answer(url, "wrong")
    assert raised.value.kind is ErrorKind.AUTH
'''
