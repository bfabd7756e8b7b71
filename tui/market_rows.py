"""What is here and came from no marketplace that is still known, as rows among those of the catalogues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from registry.discovery import BUILTIN_PUBLISHER
from registry.marketplace.rows import Row
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.handle import PluginHandle

_ALL_SYSTEMS: Final = ("linux", "macos", "windows")


def row_of(handle: PluginHandle) -> Row:
    """A plugin that is here as a row. What is part of Jackfield is published by `jackfield`."""
    manifest = handle.manifest
    contributions = [provider.title for provider in manifest.providers]
    contributions += [f"/{command.name}" for command in manifest.commands]
    builtin = handle.publisher == BUILTIN_PUBLISHER
    publisher = "jackfield" if builtin else safe_text(handle.publisher, single_line=True, limit=40)
    return Row(
        marketplace="",
        id=f"{(publisher or 'unknown').replace('/', '-')}/{handle.name}",
        summary=manifest.summary,
        version=manifest.version,
        uploaded_at=0.0,
        size=0,
        kinds=manifest.kinds,
        tags=(),
        contributions=contributions,
        capabilities=manifest.capabilities.kinds,
        runtime="app" if manifest.launch is None else "process",
        licence="",
        verified=builtin,
        status="active",
        status_reason="",
        min_app="0",
        protocol=1,
        platforms=_ALL_SYSTEMS,
        python="",
        withdrawn="",
        security=False,
        has_older=False,
    )
