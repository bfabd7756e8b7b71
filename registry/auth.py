"""Auth methods: data that says how to sign in. The host renders the form and runs the flow.

A method that is declared wrongly cannot be made, so whoever has one need not check it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from registry.errors import PluginError
from registry.fields import Data, FieldKind, FormField, Option, Title, When, check_address, check_fields
from registry.redaction import remember
from registry.text import safe_text

KEY: Final = "key"
"""The name of the secret that an `ApiKey` asks for."""
OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect address of servers that show the code on a page of their own."""

_GIVEN_BY_SERVERS: Final = {KEY, "access_token", "refresh_token", "id_token", "client_secret"}
_SET_BY_THE_HOST: Final = {
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
}


def _check_page(address: str) -> str:
    if not address:
        return address
    problem = "it has more than 2000 characters" if len(address) > 2000 else check_address(address)
    if problem or safe_text(address, single_line=True) != address:
        raise ValueError(problem or "it has characters that cannot be seen")
    parts = urlsplit(address)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("it begins with https://, unless it is of this machine")
    return address


def _check_redirect(address: str) -> str:
    return address if address == OUT_OF_BAND else _check_page(address)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, told by its name alone."""
    import ipaddress  # only where an address is checked

    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


WebAddress: TypeAlias = Annotated[str, AfterValidator(_check_page)]
"""An address that is safe to open or to send secrets to: https, or http of this machine; or nothing."""
_Redirect: TypeAlias = Annotated[str, AfterValidator(_check_redirect)]
_Scope: TypeAlias = Annotated[str, Field(pattern=r"^[!#-\[\]-~]{1,200}$")]  # RFC 6749, section 3.3
_Variable: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
_ClientId: TypeAlias = Annotated[str, Field(pattern=r"^[ -~]{0,500}$")]  # RFC 6749, appendix A.1
_Parameter: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-\[\]]{1,64}$")]


class _Method(Data):
    name: str = Field(default="default", pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    label: Title = ""
    help_url: WebAddress = ""

    @property
    def title(self) -> str:
        """What it is called on a screen."""
        return self.label or self.name


class _WithFields(_Method):
    fields: tuple[FormField, ...] = ()
    """What the user is asked, in order."""

    @field_validator("fields")
    @classmethod
    def _check_fields(cls, fields: tuple[FormField, ...]) -> tuple[FormField, ...]:
        check_fields(fields)
        return fields


class ApiKey(_WithFields):
    """One secret that the user pastes. Its `fields` are asked beside it, such as an organisation."""

    type: Literal["api_key"] = "api_key"
    env: tuple[_Variable, ...] = Field(default=(), max_length=16)
    """Environment variables that may hold the key, the first that is set wins."""
    key_url: WebAddress = ""
    """Where the user gets a key."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(field.name == KEY for field in self.fields):
            raise ValueError(f"the field {KEY} is there already")
        return self


class _OAuth(_WithFields):
    client_id: _ClientId = ""
    """Empty where the app registers itself (RFC 7591), or where the server asks for none."""
    token_endpoint: WebAddress = ""
    revocation_endpoint: WebAddress = ""
    """RFC 7009; nothing is revoked where there is none."""
    registration_endpoint: WebAddress = ""
    """RFC 7591."""
    issuer: WebAddress = ""
    """Where the endpoints are discovered (RFC 8414) that are not named here."""
    scopes: tuple[_Scope, ...] = Field(default=(), max_length=100)
    extra_parameters: dict[_Parameter, Annotated[str, Field(max_length=1000)]] = Field(
        default={}, max_length=32
    )
    """What the server wants in the first request beside what the standard says."""

    @model_validator(mode="after")
    def _check_oauth(self) -> Self:
        taken = sorted(_SET_BY_THE_HOST & self.extra_parameters.keys())
        if taken:
            raise ValueError(f"extra_parameters has {taken[0]}, which the app sets itself")
        given = sorted(_GIVEN_BY_SERVERS & {field.name for field in self.fields})
        if given:
            raise ValueError(f"the field {given[0]} is what signing in yields")
        return self

    def _check_endpoints(self, first: str) -> None:
        if not self.issuer and not (getattr(self, first) and self.token_endpoint):
            raise ValueError(f"name an issuer, or {first} and token_endpoint")

    def _check_client(self) -> None:
        if not (self.client_id or self.issuer or self.registration_endpoint):
            raise ValueError("name a client_id, or where the app can register itself")


class OAuthCode(_OAuth):
    """Authorization code with PKCE (RFC 6749, RFC 7636), S256 always."""

    type: Literal["oauth_code"] = "oauth_code"
    authorization_endpoint: WebAddress = ""
    redirect: Literal["loopback", "paste"] = "loopback"
    """Whether the browser comes back to this machine (RFC 8252), or the user pastes the code."""
    redirect_uri: _Redirect = ""
    """Where the browser is sent when the user pastes the code; on loopback the app chooses it."""
    exchange: Literal["token", "key"] = "token"
    """`key`: the token endpoint takes the code as JSON and gives a lasting key, as OpenRouter does."""
    callback_parameter: _Parameter = "redirect_uri"
    """What the authorization endpoint calls the redirect address."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_endpoints("authorization_endpoint")
        if self.exchange == "token":
            self._check_client()
        if self.callback_parameter in self.extra_parameters:
            raise ValueError(f"extra_parameters has {self.callback_parameter}, which the app sets itself")
        return self


class OAuthDevice(_OAuth):
    """Device authorization (RFC 8628)."""

    type: Literal["oauth_device"] = "oauth_device"
    device_authorization_endpoint: WebAddress = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_endpoints("device_authorization_endpoint")
        self._check_client()
        return self


class Form(_WithFields):
    """Several fields at once."""

    type: Literal["form"] = "form"
    fields: tuple[FormField, ...] = Field(min_length=1)


class NoAuth(_Method):
    """Nothing to sign in to."""

    type: Literal["no_auth"] = "no_auth"


AuthMethod: TypeAlias = Annotated[
    ApiKey | OAuthCode | OAuthDevice | Form | NoAuth, Field(discriminator="type")
]


def load_method(data: Mapping[str, Any]) -> AuthMethod:
    """An auth method from its JSON data, as a manifest has it.

    Raises:
        PluginError: it is none; says what is wrong with it.
    """
    try:
        return _methods().validate_python(dict(data))
    except ValidationError as error:
        raise wrong_method(error) from None
    except (TypeError, ValueError, RecursionError):
        raise PluginError("It is no auth method", hint=_TELL) from None


def wrong_method(error: ValidationError) -> PluginError:
    """The error of an auth method that cannot be as a plugin declares it, in words for people."""
    inside = (error.title,) if error.title.isidentifier() else ()
    lines = [_line(inside + fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)[:5]]
    return PluginError("An auth method is not declared as it must be", detail="\n".join(lines), hint=_TELL)


_TELL: Final = "Tell the author of the plugin."


def _line(place: tuple[int | str, ...], message: str) -> str:
    # The first part of the place is the type of the method where it is one of several.
    where = ".".join(str(part) for part in place)
    message = message.removeprefix("Value error, ")
    return safe_text(f"{where}: {message}" if where else message, single_line=True, limit=300)


@cache
def _methods() -> TypeAdapter[AuthMethod]:
    return TypeAdapter(AuthMethod)


class OAuthGrant(Data):
    """What a refresh or a revocation needs to know of how a token was had."""

    client_id: str
    token_endpoint: str
    revocation_endpoint: str = ""
    issuer: str = ""


class Credential(Data):
    """What signing in yields. Its `repr` hides every secret, and the redactor knows them from now on."""

    model_config = ConfigDict(hide_input_in_errors=True)

    secrets: dict[str, SecretStr] = Field(default_factory=dict)
    """Secret fields and tokens by name: `key` for an `ApiKey`, `access_token` and perhaps `refresh_token`
    and `client_secret` for OAuth."""
    values: dict[str, str] = Field(default_factory=dict)
    """Fields of a form that are no secrets; options with commas between them, `true` or `false`."""
    expires_at: float | None = None
    """When the access token ends, in Unix seconds; None when that is not known."""
    scopes: tuple[str, ...] = ()
    grant: OAuthGrant | None = None
    connection: str = ""
    """The label of the connection that it is of; empty for one from the environment."""

    @model_validator(mode="after")
    def _remember(self) -> Self:
        for secret in self.secrets.values():
            remember(secret.get_secret_value())
        return self

    @property
    def token(self) -> str:
        """What a request is signed with: the `key`, or else the `access_token`; empty if there is neither."""
        secret = self.secrets.get(KEY) or self.secrets.get("access_token")
        return "" if secret is None else secret.get_secret_value()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which are checked, and whose secrets are remembered too."""
        return self.model_validate({**dict(self), **(update or {})})

    def to_json(self) -> str:
        """Everything, with the secrets in plain. For a store of secrets only."""
        data = self.model_dump(mode="json", exclude={"secrets"})
        secrets = {name: secret.get_secret_value() for name, secret in self.secrets.items()}
        return json.dumps({"secrets": secrets, **data})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A credential from what `to_json` gave.

        Raises:
            ValueError: it is damaged. Says nothing of what is in it.
        """
        credential = cls._read(text)
        if credential is None:  # raised here, so that no error that holds the text is in its context
            raise ValueError("the stored credential is damaged")
        return credential

    @classmethod
    def _read(cls, text: str) -> Self | None:
        try:
            return cls.model_validate(json.loads(text))
        except (ValueError, RecursionError):
            return None


__all__ = [
    "ApiKey",
    "AuthMethod",
    "Credential",
    "FieldKind",
    "Form",
    "FormField",
    "NoAuth",
    "OAuthCode",
    "OAuthDevice",
    "OAuthGrant",
    "Option",
    "WebAddress",
    "When",
    "is_loopback",
    "load_method",
    "wrong_method",
]
