"""A file that was checked before is read from a cache by `json`, without the libraries that check it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final, TypeVar

from registry.secret_contract import StoreKind
from registry.settings import (
    CatalogueSettings,
    ConfigProblem,
    LoadedConfig,
    MarketplacesSettings,
    PluginSettings,
    SecretsSettings,
    Settings,
)

_FORMAT: Final = 5
_MAX_BYTES: Final = 16_000_000
_TAG: Final = "$"
_TIMES: Final = {kind.__name__: kind for kind in (datetime, date, time)}
_T = TypeVar("_T")


def read_cached(cache: Path, digest: str, file: Path) -> LoadedConfig | None:
    """What the cache holds of the content with this digest; None if it is of another, or cannot be used."""
    try:
        with cache.open("rb") as opened:
            stored = json.loads(opened.read(_MAX_BYTES))
        if stored["stamp"] != _stamp(digest):
            return None
        problems = tuple(_problem(problem, file) for problem in stored["problems"])
        return LoadedConfig(_settings(stored["settings"]), problems)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None  # whatever is wrong with a cache, the file itself is there


def write_cached(cache: Path, digest: str, config: LoadedConfig) -> None:
    """Keep what was found out; where that fails, the file is checked again next time."""
    from registry.atomic import write_atomically

    with suppress(OSError, ValueError, RecursionError):
        stored = {
            "stamp": _stamp(digest),
            "settings": _plain_settings(config.settings),
            "problems": [asdict(problem) | {"file": None} for problem in config.problems],
        }
        write_atomically(cache, json.dumps(stored).encode())


def _plain_settings(settings: Settings) -> dict[str, object]:
    plugins = {
        name: {"enabled": plugin.enabled, "options": _encode(plugin.options)}
        for name, plugin in settings.plugins.items()
    }
    return {
        "theme": settings.theme,
        "model": settings.model,
        "favourites": list(settings.favourites),
        "history": settings.history,
        "catalogue": asdict(settings.catalogue),
        "secrets": asdict(settings.secrets),
        "marketplaces": asdict(settings.marketplaces),
        "plugins": plugins,
        "keys": dict(settings.keys),
    }


def _stamp(digest: str) -> list[object]:
    from jackfield import __version__

    return [_FORMAT, __version__, digest]


def _settings(stored: Mapping[str, Any]) -> Settings:
    plugins = {
        name: PluginSettings(
            _expect(plugin["enabled"], bool | None), _expect(_decode(_expect(plugin["options"], dict)), dict)
        )
        for name, plugin in stored["plugins"].items()
    }
    return Settings(
        theme=_expect(stored["theme"], str),
        model=_expect(stored["model"], str | None),
        favourites=tuple(_expect(reference, str) for reference in _expect(stored["favourites"], list)),
        history=_expect(stored["history"], bool),
        catalogue=CatalogueSettings(
            _expect(stored["catalogue"]["refresh"], bool), _expect(stored["catalogue"]["url"], str | None)
        ),
        secrets=SecretsSettings(StoreKind(stored["secrets"]["store"])),
        marketplaces=_marketplaces(stored["marketplaces"]),
        plugins=plugins,
        keys={binding: _expect(key, str) for binding, key in stored["keys"].items()},
    )


def _marketplaces(stored: Mapping[str, Any]) -> MarketplacesSettings:
    allow, block = (
        tuple(_expect(name, str) for name in _expect(stored[key], list)) for key in ("allow", "block")
    )
    return MarketplacesSettings(allow, block, _expect(stored["min_age_hours"], float))


def _problem(stored: Mapping[str, Any], file: Path) -> ConfigProblem:
    level = stored["level"]
    if level not in {"warning", "error"}:
        raise ValueError(level)
    return ConfigProblem(
        file,
        _expect(stored["message"], str),
        _expect(stored["key"], str),
        _expect(stored["line"], int | None),
        _expect(stored["column"], int | None),
        _expect(stored["suggestion"], str),
        level,
    )


def _expect(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(type(value))
    return value


def _encode(value: object) -> object:
    """JSON for a TOML value: what JSON lacks becomes a tagged object, and an object that looks so, too."""
    match value:
        case Mapping():
            encoded = {key: _encode(item) for key, item in value.items()}
            return {_TAG: ["table", encoded]} if _TAG in encoded else encoded
        case list():
            return [_encode(item) for item in value]
        case datetime() | date() | time():
            return {_TAG: [type(value).__name__, value.isoformat()]}
        case _:
            return value


def _decode(value: Any) -> Any:
    match value:
        case {"$": ["table", dict(table)]}:
            return {key: _decode(item) for key, item in table.items()}
        case {"$": [str(kind), str(moment)]}:
            return _TIMES[kind].fromisoformat(moment)
        case dict():
            return {key: _decode(item) for key, item in value.items()}
        case list():
            return [_decode(item) for item in value]
        case _:
            return value
