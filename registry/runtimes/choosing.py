"""From a manifest to a plugin object, wherever its code runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from registry.errors import PluginError
from registry.loading import load_plugin
from registry.manifest import Manifest, Runtime
from registry.plugin import Plugin
from registry.states import Held


def make_plugin(manifest: Manifest, check: Callable[[Manifest], Held | None] = lambda _: None) -> Plugin:
    """The plugin of a manifest. One with a process of its own is made without starting it.

    Args:
        manifest: of the plugin.
        check: what has to be true whenever a process of it is started again; called in a thread.

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

    return ProcessPlugin(manifest.launch, manifest, partial(_check_again, manifest, check))


def _check_again(manifest: Manifest, check: Callable[[Manifest], Held | None]) -> None:
    held = check(manifest)
    if held is not None:
        raise PluginError(
            f"The plugin {manifest.name} was not started again", detail=held.reason, hint=held.hint
        )
