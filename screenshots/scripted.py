"""A provider that answers what the pictures need, in the place of the embedded model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from jackfield import (
    ChatRequest,
    Credential,
    ErrorKind,
    Finished,
    Model,
    Parameter,
    Plugin,
    Progress,
    Provider,
    ProviderError,
    Started,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
)

ANSWER = """\
A **jackfield** is a panel of sockets. Cords connect any output to any input, so that equipment
can be *rearranged without opening it*.

## How it is used

1. Find the socket of the source
2. Find the socket of the target
   - a label says what it is
   - the upper row is outputs
3. Put the cord in

| row   | carries        | colour |
|-------|----------------|--------|
| upper | outputs        | red    |
| lower | inputs         | blue   |

```python
def connect(source: Socket, target: Socket) -> Cord:
    # one cord, two plugs
    return Cord(source.plug(), target.plug())
```

> Nothing is soldered, so nothing is final.

See [the manual](https://example.org/jackfield) for more.
"""

Script = Callable[[ChatRequest], AsyncIterator[StreamEvent]]


class ScriptedProvider(Provider):
    """Does what `script` says."""

    name = "local"
    title = "Offline demo model"

    def __init__(self) -> None:
        self.script: Script = answers

    async def parameters(self, model: Model) -> Sequence[Parameter]:
        """As the embedded model, and an effort, since most models have one."""
        effort = Parameter.effort(("low", "medium", "high"))
        return (Parameter.temperature(), Parameter.max_tokens(model.output_limit), effort)

    def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """The script's events."""
        return self.script(request)


class ScriptedPlugin(Plugin):
    """Stands in for the plugin of the embedded model, whose manifest is shown."""

    name = "local"
    version = "0.1.0"

    def __init__(self) -> None:
        self.provider = ScriptedProvider()

    def providers(self) -> Sequence[Provider]:
        """The scripted one."""
        return [self.provider]


class NoServer(Provider):
    """A server that does not run."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def models(self, credential: Credential | None) -> Sequence[Model]:
        """None."""
        return ()

    def stream(self, request: ChatRequest, credential: Credential | None) -> AsyncIterator[StreamEvent]:
        """Nothing."""
        raise ProviderError(ErrorKind.CONNECTION, f"{self.name} does not run")


class NoServersPlugin(Plugin):
    """Stands in for the plugin that looks for servers on this machine."""

    name = "local-servers"
    version = "0.1.0"

    def providers(self) -> Sequence[Provider]:
        """The four, none of which runs."""
        return [NoServer(name) for name in ("ollama", "llamacpp", "lmstudio", "vllm")]


class ForgetfulPlugin(Plugin):
    """A hook that fails."""

    name = "forgetful"
    version = "2.1.0"
    summary = "Adds a note to each request, or tries to"

    async def on_request(self, request: ChatRequest) -> None:
        """Fail."""
        raise KeyError("note")


class PolitePlugin(Plugin):
    """A hook that changes the request."""

    name = "polite"
    version = "1.0.0"
    summary = "Says please"

    async def on_request(self, request: ChatRequest) -> None:
        """Put a word before the prompt."""
        last = request.messages[-1]
        request.messages[-1] = last.with_text(f"Please: {last.text}")


async def answers(_: ChatRequest) -> AsyncIterator[StreamEvent]:
    """The whole answer."""
    yield Started()
    yield TextDelta(ANSWER)
    yield Finished(usage=Usage(input=412, output=268))


async def thinks(_: ChatRequest) -> AsyncIterator[StreamEvent]:
    """Thinks, then answers."""
    yield Started()
    yield ThinkingDelta("The user asks what a jackfield is. I say it in one sentence.")
    yield TextDelta("A panel of sockets that cords connect.")
    yield Finished(usage=Usage(input=412, output=30, reasoning=18))


async def keeps_writing(_: ChatRequest) -> AsyncIterator[StreamEvent]:
    """Half an answer, and no end."""
    yield Started()
    yield TextDelta(ANSWER[: ANSWER.index("| row")])
    await asyncio.Event().wait()


async def keeps_fetching(_: ChatRequest) -> AsyncIterator[StreamEvent]:
    """A download that is under way."""
    yield Progress("fetching the offline demo model", 47_000_000, 126_700_000)
    await asyncio.Event().wait()


async def fails(_: ChatRequest) -> AsyncIterator[StreamEvent]:
    """Half a sentence, then a fault."""
    yield Started()
    yield TextDelta("A jackfield is a panel")
    raise ProviderError(
        ErrorKind.CONNECTION,
        "The embedded model stopped unexpectedly",
        detail="Its process ended with signal 9 (killed).",
        hint="It starts again with the next message.",
    )


STAND_IN = ScriptedPlugin()
"""What `with_stand_in` puts in the place of the embedded model's plugin."""


_ENDPOINTS = frozenset(
    [
        "azure",
        "baseten",
        "cerebras",
        "cloudflare",
        "cohere",
        "custom",
        "deepinfra",
        "deepseek",
        "fireworks",
        "github-models",
        "groq",
        "huggingface",
        "litellm",
        "minimax",
        "mistral",
        "moonshot",
        "nebius",
        "novita",
        "nvidia",
        "ollama-cloud",
        "openrouter",
        "ovhcloud",
        "perplexity",
        "qwen",
        "sambanova",
        "scaleway",
        "siliconflow",
        "together",
        "venice",
        "vercel",
        "xai",
        "zai",
    ]
)
"""The compatible endpoints of the pictures: one more in the data changes none of them."""


def with_stand_in(manifests: Sequence[dict[str, Any]], script: Script) -> list[dict[str, Any]]:
    """The manifests, with a script in the place of the embedded model, and no server on this machine."""
    STAND_IN.provider.script = script
    stand_ins = {"local": f"{__name__}:STAND_IN", "local-servers": f"{__name__}:NoServersPlugin"}
    family = "providers.compatible:FAMILY#"
    seen = [
        entry
        for entry in manifests
        if not entry["entry_point"].startswith(family) or entry["name"] in _ENDPOINTS
    ]
    changed = [dict(entry) for entry in seen]
    for entry in changed:
        entry["entry_point"] = stand_ins.get(entry["name"], entry["entry_point"])
    return changed
