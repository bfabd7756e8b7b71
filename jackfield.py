"""The public plugin API: every name that a plugin author may import, and nothing else.

```python
from jackfield import Plugin, Provider, TextDelta, Finished
```

Names are looked up when they are first used, so that importing this module costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from registry.auth import ApiKey as ApiKey
    from registry.auth import AuthMethod as AuthMethod
    from registry.auth import Credential as Credential
    from registry.auth import Form as Form
    from registry.auth import FormField as FormField
    from registry.auth import NoAuth as NoAuth
    from registry.auth import OAuthCode as OAuthCode
    from registry.auth import OAuthDevice as OAuthDevice
    from registry.auth import OAuthGrant as OAuthGrant
    from registry.auth import Option as Option
    from registry.auth import When as When
    from registry.capabilities import Capabilities as Capabilities
    from registry.chat import ChatRequest as ChatRequest
    from registry.chat import ChatResponse as ChatResponse
    from registry.chat import CitationReceived as CitationReceived
    from registry.chat import FilePart as FilePart
    from registry.chat import Finished as Finished
    from registry.chat import ImagePart as ImagePart
    from registry.chat import Message as Message
    from registry.chat import OpaqueReceived as OpaqueReceived
    from registry.chat import Part as Part
    from registry.chat import Progress as Progress
    from registry.chat import ServerToolUsed as ServerToolUsed
    from registry.chat import Started as Started
    from registry.chat import StopReason as StopReason
    from registry.chat import StreamEvent as StreamEvent
    from registry.chat import TextDelta as TextDelta
    from registry.chat import TextPart as TextPart
    from registry.chat import ThinkingDelta as ThinkingDelta
    from registry.chat import ThinkingPart as ThinkingPart
    from registry.chat import ToolArgumentsDelta as ToolArgumentsDelta
    from registry.chat import ToolCallEnded as ToolCallEnded
    from registry.chat import ToolCallPart as ToolCallPart
    from registry.chat import ToolCallStarted as ToolCallStarted
    from registry.chat import ToolResultPart as ToolResultPart
    from registry.chat import Usage as Usage
    from registry.chat import UsageReceived as UsageReceived
    from registry.command import Command as Command
    from registry.command import CommandCall as CommandCall
    from registry.command import CommandResult as CommandResult
    from registry.command import Fill as Fill
    from registry.command import HostAction as HostAction
    from registry.command import Perform as Perform
    from registry.command import Send as Send
    from registry.command import Show as Show
    from registry.errors import JackfieldError as JackfieldError
    from registry.errors import PluginError as PluginError
    from registry.family import PluginFamily as PluginFamily
    from registry.plugin import Plugin as Plugin
    from registry.plugin import PluginContext as PluginContext
    from registry.provider import ErrorKind as ErrorKind
    from registry.provider import Model as Model
    from registry.provider import Parameter as Parameter
    from registry.provider import Provider as Provider
    from registry.provider import ProviderError as ProviderError
    from registry.text import StreamSanitizer as StreamSanitizer
    from registry.text import safe_text as safe_text

_HOMES = {
    "auth": "ApiKey AuthMethod Credential Form FormField NoAuth OAuthCode OAuthDevice OAuthGrant Option When",
    "capabilities": "Capabilities",
    "chat": (
        "ChatRequest ChatResponse CitationReceived FilePart Finished ImagePart Message OpaqueReceived Part "
        "Progress ServerToolUsed Started StopReason StreamEvent TextDelta TextPart ThinkingDelta "
        "ThinkingPart ToolArgumentsDelta ToolCallEnded ToolCallPart ToolCallStarted ToolResultPart "
        "Usage UsageReceived"
    ),
    "command": "Command CommandCall CommandResult Fill HostAction Perform Send Show",
    "errors": "JackfieldError PluginError",
    "family": "PluginFamily",
    "plugin": "Plugin PluginContext",
    "provider": "ErrorKind Model Parameter Provider ProviderError",
    "text": "StreamSanitizer safe_text",
}
_MODULE_OF = {name: f"registry.{module}" for module, names in _HOMES.items() for name in names.split()}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
