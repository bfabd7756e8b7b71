"""The plugin system: contract, registry, hooks, turns. It knows no screen and no provider."""
