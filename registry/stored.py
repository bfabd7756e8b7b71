"""Manifests as files hold them: of the cached ones a few facts at once, the rest when it is asked for."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.states import Held

INDEX = ("name", "publisher", "problem", "guard", "on_by_default")
"""What a start needs to know of every plugin, on or off."""


class StoredManifest(dict[str, Any]):
    """JSON data of a manifest that costs next to nothing until more than its `INDEX` is read.

    Args:
        index: the facts of `INDEX`.
        text: the whole manifest as JSON text in ASCII.
    """

    __slots__ = ("_text",)

    def __init__(self, index: Mapping[str, Any], text: bytes) -> None:
        super().__init__(index)
        self._text = text

    def __missing__(self, key: str) -> Any:
        return self._whole()[key] if self._text else _raise(key)

    def _whole(self) -> StoredManifest:
        text, self._text = self._text, b""
        if text:
            self.update(json.loads(text))
        return self

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict has it."""
        return dict.get(self._whole(), key, default)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """As a dict has it."""
        return KeysView(self._whole())

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """As a dict has it."""
        return ValuesView(self._whole())

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """As a dict has it."""
        return ItemsView(self._whole())

    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self._whole())

    def __len__(self) -> int:
        return dict.__len__(self._whole())

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or dict.__contains__(self._whole(), key)

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self._whole(), other)

    __hash__ = None


def _raise(key: str) -> Any:
    raise KeyError(key)


class InstalledManifest(dict[str, Any]):
    """JSON data of the manifest of a plugin that came from a marketplace.

    Args:
        data: the manifest.
        held: what keeps the plugin off whatever the user chose, if anything does.
    """

    __slots__ = ("held",)

    def __init__(self, data: Mapping[str, Any], held: Held | None = None) -> None:
        super().__init__(data)
        self.held = held


def index_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of `INDEX`."""
    return {key: manifest[key] for key in INDEX}


def text_of(manifest: Mapping[str, Any]) -> bytes:
    """The whole manifest as one line of JSON text in ASCII."""
    return json.dumps(dict(manifest)).encode()


def has_index(manifest: Mapping[str, Any]) -> bool:
    """Whether what a handle needs before the rest is decoded is there."""
    try:
        texts = (manifest["name"], manifest["publisher"], manifest["problem"])
        return all(map(_is_text, texts)) and manifest["guard"] in (True, False)
    except (LookupError, TypeError):
        return False


def _is_text(value: object) -> bool:
    return type(value) is str
