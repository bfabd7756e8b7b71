"""From a manifest to a plugin object, wherever its code runs."""

from __future__ import annotations

from registry.errors import PluginError
from registry.loading import load_plugin
from registry.manifest import Manifest, Runtime
from registry.plugin import Plugin


def make_plugin(manifest: Manifest) -> Plugin:
    """The plugin of a manifest. One with a process of its own is made without starting it.

    Raises:
        PluginError: it is not a plugin, or not known how to start it.
        Exception: whatever its module or its class raises, if it runs in this process.
    """
    if manifest.runtime is Runtime.BUILTIN:
        return load_plugin(manifest.entry_point)
    if manifest.runtime is not Runtime.PROCESS or manifest.launch is None:
        raise PluginError(
            f"It is not known how the plugin {manifest.name} is started",
            hint="Install it again.",
        )
    from registry.runtimes.process import ProcessPlugin  # nothing of it is needed before the first frame

    return ProcessPlugin(manifest.launch, manifest)
