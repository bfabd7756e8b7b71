"""The ways to sign in to one plugin, ready to be shown; one that is declared wrongly says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from registry.auth import ApiKey, AuthMethod, NoAuth, OAuthCode, OAuthDevice, load_method
from registry.errors import JackfieldError
from registry.forms import FormField, fields_of
from registry.text import safe_text
from tui.connection_text import method_title

if TYPE_CHECKING:
    from registry.handle import PluginHandle


@dataclass(frozen=True)
class MethodChoice:
    """One way to sign in."""

    name: str
    """Unique among the choices of a plugin."""
    title: str
    method: AuthMethod | None
    """None when it is declared wrongly."""
    fields: tuple[FormField, ...] = ()
    problem: JackfieldError | None = None
    """What is wrong with how it is declared."""

    @property
    def key_url(self) -> str:
        """Where a key is to be had; empty when nobody says."""
        url = self.method.key_url if isinstance(self.method, ApiKey) else ""
        return safe_text(url, single_line=True)

    @property
    def help_url(self) -> str:
        """Where the provider explains it; empty when nobody says."""
        return safe_text(self.method.help_url if self.method else "", single_line=True)

    @property
    def about(self) -> str:
        """What will happen, in a sentence; empty where the form says it all."""
        match self.method:
            case OAuthCode():
                return f"You sign in in a browser, on a page of {self._host}. No password is typed here."
            case OAuthDevice():
                return f"You get a code, and type it on a page of {self._host}, on this machine or another."
            case _:
                return ""

    @property
    def _host(self) -> str:
        first = (
            self.method.authorization_endpoint
            if isinstance(self.method, OAuthCode)
            else self.method.device_authorization_endpoint
            if isinstance(self.method, OAuthDevice)
            else ""
        )
        issuer = self.method.issuer if isinstance(self.method, OAuthCode | OAuthDevice) else ""
        return safe_text(urlsplit(first or issuer).hostname or "the provider", single_line=True, limit=100)


def method_choices(handle: PluginHandle, *, display: bool, only: str | None = None) -> list[MethodChoice]:
    """The ways to sign in to a plugin, in its order; a code for another device first where no browser is.

    Args:
        handle: the plugin; it has one at least.
        display: whether a browser can be shown on this machine.
        only: the name of the one to give, if it is still there.
    """
    choices: list[MethodChoice] = []
    for number, entry in enumerate(handle.manifest.auth_methods):
        title = method_title(entry.data)
        try:
            method = load_method(entry.data)
        except JackfieldError as error:
            choices.append(MethodChoice(f"#{number}", title, None, problem=error))
            continue
        if not isinstance(method, NoAuth):
            choices.append(MethodChoice(method.name, title, method, fields_of(method)))
    if not display:
        choices.sort(key=lambda choice: not isinstance(choice.method, OAuthDevice))
    return [choice for choice in choices if choice.name == only] or choices


def has_sign_in(handle: PluginHandle) -> bool:
    """Whether there is anything to sign in to."""
    return any(entry.data.get("type") != "no_auth" for entry in handle.manifest.auth_methods)
