"""What a provider signs in with: found in the order that the documentation names.

Today that order has one step: the environment variables that an `ApiKey` of the provider's plugin names, the
first that is set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.registry import PluginRegistry

if TYPE_CHECKING:
    from registry.auth import Credential


def resolve_credential(
    registry: PluginRegistry, provider: str, env: Mapping[str, str] = os.environ
) -> Credential | None:
    """The credential for a provider; None when nobody has signed in, or nothing has to be signed in to.

    Args:
        registry: who knows which plugin has the provider, and its auth methods.
        provider: the provider's name.
        env: where keys may be.
    """
    plugin = next((entry.plugin for entry in registry.providers() if entry.name == provider), None)
    methods = [entry.data for entry in registry.auth_methods() if entry.plugin == plugin]
    for variable in key_variables(methods):
        if value := env.get(variable, "").strip():
            return _key(value)
    return None


def key_variables(methods: Sequence[Mapping[str, Any]]) -> list[str]:
    """The environment variables that may hold a key, in order."""
    found: list[str] = []
    for method in methods:
        names = method.get("env") if method.get("type") == "api_key" else ()
        found += [name for name in names or () if isinstance(name, str)]
    return found


def _key(value: str) -> Credential:
    from pydantic import SecretStr  # only where somebody signed in

    from registry.auth import Credential

    return Credential(secrets={"key": SecretStr(value)})
