"""Auth methods: data that says how to sign in. The host renders the form and runs the flow."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr

FieldKind: TypeAlias = Literal["text", "secret", "select", "multi_select", "number", "boolean", "url"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Option(_Data):
    """One choice of a select."""

    value: str
    label: str = ""


class When(_Data):
    """Show a field only while another field of the form has this value."""

    field: str
    equals: str | int | float | bool


class FormField(_Data):
    """One field of a form."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: FieldKind = "text"
    label: str = ""
    help: str = ""
    placeholder: str = ""
    default: str | int | float | bool | tuple[str, ...] | None = None
    required: bool = True
    pattern: str | None = None
    """A regular expression that the whole value has to match."""
    minimum: float | None = None
    maximum: float | None = None
    options: tuple[Option, ...] = ()
    when: When | None = None


class _Method(_Data):
    name: str = Field(default="default", pattern=r"^[a-z][a-z0-9_-]*$")
    label: str = ""
    help_url: str = ""


class ApiKey(_Method):
    """One secret that the user pastes."""

    type: Literal["api_key"] = "api_key"
    env: tuple[str, ...] = ()
    """Environment variables that may hold the key, the first that is set wins."""
    key_url: str = ""
    """Where the user gets a key."""
    fields: tuple[FormField, ...] = ()
    """Fields beside the key, such as an organisation."""


class OAuthCode(_Method):
    """Authorization code with PKCE (RFC 6749, RFC 7636), S256 always."""

    type: Literal["oauth_code"] = "oauth_code"
    client_id: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    revocation_endpoint: str = ""
    issuer: str = ""
    """Where the endpoints are discovered (RFC 8414) when they are not named here."""
    scopes: tuple[str, ...] = ()
    redirect: Literal["loopback", "paste"] = "loopback"


class OAuthDevice(_Method):
    """Device authorization (RFC 8628)."""

    type: Literal["oauth_device"] = "oauth_device"
    client_id: str = ""
    device_authorization_endpoint: str = ""
    token_endpoint: str = ""
    revocation_endpoint: str = ""
    issuer: str = ""
    scopes: tuple[str, ...] = ()


class Form(_Method):
    """Several fields at once."""

    type: Literal["form"] = "form"
    fields: tuple[FormField, ...]


class NoAuth(_Method):
    """Nothing to sign in to."""

    type: Literal["no_auth"] = "no_auth"


AuthMethod: TypeAlias = Annotated[
    ApiKey | OAuthCode | OAuthDevice | Form | NoAuth, Field(discriminator="type")
]


class Credential(_Data):
    """What signing in yields. Its `repr` hides every secret."""

    secrets: dict[str, SecretStr] = {}
    """Secret fields and tokens by name; `key` for an `ApiKey`."""
    values: dict[str, str] = {}
    """Fields of a form that are no secrets."""
