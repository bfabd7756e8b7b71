"""Which model answers: `provider/model` references and the choice among what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.errors import JackfieldError, PluginError
from registry.manifest import ProviderEntry
from registry.provider import Model, Provider, ProviderError
from registry.provider_stream import refuses_credential
from registry.registry import PluginRegistry
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.auth import Credential
    from registry.connections import Connections


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model of a provider that is on."""

    provider: ProviderEntry
    model: Model

    @property
    def reference(self) -> str:
        """`provider/model`, as configuration and command line have it."""
        return f"{self.provider.name}/{self.model.id}"


async def first_model(registry: PluginRegistry, connections: Callable[[], Connections]) -> ModelChoice:
    """The model to begin with when the user chose none: that of the first provider that can answer.

    That is one that needs no account, or has one. Where there is no such provider, it is the first of all.

    Args:
        registry: what is on.
        connections: gives the accounts; called when a provider needs one.

    Raises:
        JackfieldError: no provider is on.
    """
    providers = [provider for provider in registry.providers() if provider.models]
    if not providers:
        raise JackfieldError(
            "No model is there to answer",
            hint="Switch a provider on in the plugins screen or with `jackfield plugins enable NAME`.",
        )
    for provider in providers:
        plugin = provider.plugin
        if not _needs_account(registry, plugin) or await _has_account(connections(), plugin):
            return ModelChoice(provider, provider.models[0])
    return ModelChoice(providers[0], providers[0].models[0])


def _needs_account(registry: PluginRegistry, plugin: str) -> bool:
    ways = [entry.data.get("type") for entry in registry.auth_methods() if entry.plugin == plugin]
    return bool(ways) and "no_auth" not in ways


async def _has_account(connections: Connections, plugin: str) -> bool:
    return connections.environment_key(plugin) is not None or bool(await connections.all(plugin))


def choose_model(registry: PluginRegistry, reference: str) -> ModelChoice:
    """The model of this reference.

    `provider` alone means the first model that the provider knows. A model that is not among the known ones
    is taken as it is named, since a provider may have models that only its server knows.

    Raises:
        JackfieldError: no provider is on, or none of that name.
    """
    providers = registry.providers()
    provider_name, _, model_id = reference.partition("/")
    for provider in providers:
        if provider.name == provider_name:
            return ModelChoice(provider, _model(provider, model_id))
    shown = safe_text(provider_name, single_line=True, limit=64)
    raise JackfieldError(
        f"There is no provider named {shown}",
        detail="Providers that are on: " + (", ".join(entry.name for entry in providers) or "none"),
        hint="Name a model as provider/model; `jackfield models` lists them. Its plugin may be switched off.",
    )


def _model(provider: ProviderEntry, model_id: str) -> Model:
    for model in provider.models:
        if not model_id or model.id == model_id:
            return model
    if not model_id:
        raise JackfieldError(
            f"{provider.title} names no model of its own",
            hint=f"Name one as {provider.name}/MODEL; `jackfield models` lists them.",
        )
    return Model(safe_text(model_id, single_line=True, limit=200))


def title_of(registry: PluginRegistry, reference: str) -> str:
    """How people call the model of a reference; the reference itself when no provider that is on knows it."""
    provider_name, _, model_id = reference.partition("/")
    for provider in registry.providers():
        if provider.name == provider_name:
            return next((model.title for model in provider.models if model.id == model_id), model_id)
    return reference


async def available_models(
    registry: PluginRegistry,
    connections: Connections,
    provider: ProviderEntry,
    *,
    connection: str | None = None,
) -> list[Model]:
    """The models that a provider has now; its code is loaded for it.

    Where the server refuses a credential that can be renewed, it is asked once more with the renewed one.

    Args:
        registry: who has the provider.
        connections: what it signs in with.
        provider: the provider.
        connection: the label of the connection to use; None leaves it to the order of resolution.

    Raises:
        JackfieldError: they could not be listed.
    """
    loaded = await registry.provider(provider.name)
    credential = await connections.resolve(provider.name, connection=connection)
    try:
        return await models_of(loaded, provider, credential)
    except ProviderError as error:
        if credential is None or not refuses_credential(error):
            raise
        renewed = await connections.renew(provider.name, credential)
        if renewed is None:
            raise
    return await models_of(loaded, provider, renewed)


async def models_of(loaded: Provider, provider: ProviderEntry, credential: Credential | None) -> list[Model]:
    """The models that a provider lists with this credential.

    What the provider says of a model is made safe to show; what is not a model is left out.

    Raises:
        JackfieldError: they could not be listed.
    """
    try:
        given: Sequence[object] = await loaded.models(credential)
        return [_made_safe(model) for model in given if isinstance(model, Model)]
    except JackfieldError:
        raise
    except Exception as error:
        raise PluginError(
            f"{provider.title} failed to list its models",
            detail=safe_text(f"{type(error).__name__}: {error}", limit=2000),
            hint="Switch its plugin off, or tell its author.",
        ) from error


def merge_models(known: Sequence[Model], live: Sequence[Model]) -> list[Model]:
    """The known models, then those that only the server knows; of a model that both have, the live facts."""
    merged = {model.id: model for model in known}
    merged.update((model.id, model) for model in live)
    return list(merged.values())


def _made_safe(model: Model) -> Model:
    return Model(
        _line(model.id),
        _line(model.name),
        _count(model.context_window),
        _count(model.output_limit),
        tuple(_line(modality) for modality in model.modalities),
        bool(model.reasoning),
        bool(model.tools),
    )


def _line(text: object) -> str:
    return safe_text(str(text), single_line=True, limit=200)


def _count(number: object) -> int | None:
    return number if isinstance(number, int) and number > 0 else None
