"""What config.toml can say, and what is wrong with the one that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from registry.secret_contract import StoreKind
from registry.text import safe_text

TomlValue: TypeAlias = (
    str | int | float | bool | datetime | date | time | Sequence["TomlValue"] | Mapping[str, "TomlValue"]
)
"""A value that TOML can hold."""


class _Strict:
    """Tells pydantic, without importing it, to take no other type for this one: not 1 or "yes" for true."""

    def __get_pydantic_core_schema__(self, source: object, handler: Any) -> Any:
        schema = handler(source)
        schema["strict"] = True
        return schema


Flag: TypeAlias = Annotated[bool, _Strict()]
DEFAULT_THEME: Final = "jackfield-dark"


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """The table `[plugins.NAME]`."""

    enabled: Flag | None = None
    """None leaves it to the plugin's own default."""
    options: Mapping[str, object] = field(default_factory=dict)
    """The table `[plugins.NAME.options]`, which only the plugin understands."""


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """The table `[catalogue]`: where a newer catalogue of models and prices is, if anywhere."""

    refresh: Flag = True
    """False never asks the server at `url`."""
    url: str | None = None
    """The address of a catalogue in our schema. None, the default, asks nobody."""


@dataclass(frozen=True, slots=True)
class SecretsSettings:
    """The table `[secrets]`: where what signs in is kept."""

    store: StoreKind = StoreKind.KEYRING
    """Never a file in plain: the system's keyring, or what the user chose instead."""


_MOST_HOURS: Final = 24.0 * 3650
"""A minimum age of more than ten years is none that a date can be told of."""


class _Age:
    """Tells pydantic, without importing it, to take a number of hours that is not below 0 and not endless."""

    def __get_pydantic_core_schema__(self, source: object, handler: Any) -> Any:
        schema = handler(source)
        schema |= {"strict": True, "ge": 0, "allow_inf_nan": False}
        return schema


@dataclass(frozen=True, slots=True)
class MarketplacesSettings:
    """The table `[marketplaces]`: what may be installed from them."""

    allow: tuple[str, ...] = ()
    """Publishers, or `publisher/name`. When it names any, nothing else can be installed."""
    block: tuple[str, ...] = ()
    """Publishers, or `publisher/name`, that cannot be installed."""
    min_age_hours: Annotated[float, _Age()] = 72.0
    """How old a version of somebody else has to be, in hours, unless it mends a security hole."""

    @property
    def min_age(self) -> timedelta:
        """The same; ten years are as good as more."""
        return timedelta(hours=min(self.min_age_hours, _MOST_HOURS))


@dataclass(frozen=True, slots=True)
class Settings:
    """All of config.toml. What the file does not say has its default."""

    theme: str = DEFAULT_THEME
    model: str | None = None
    """The `provider/model` that new conversations use."""
    favourites: tuple[str, ...] = ()
    """The `provider/model` references that the model picker shows first."""
    history: Flag = True
    """Whether conversations are kept."""
    catalogue: CatalogueSettings = field(default_factory=CatalogueSettings)
    secrets: SecretsSettings = field(default_factory=SecretsSettings)
    marketplaces: MarketplacesSettings = field(default_factory=MarketplacesSettings)
    plugins: Mapping[str, PluginSettings] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by the id of their binding, such as `"composer.send" = "ctrl+s"`."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong with a configuration file; `str()` says all of it in one text."""

    file: Path
    message: str
    key: str = ""
    """The key as TOML writes it, such as `plugins.local.enabled`; empty for the whole file."""
    line: int | None = None
    """Counted from 1; None where no single line is at fault."""
    column: int | None = None
    """Counted from 1."""
    suggestion: str = ""
    """The nearest valid key, if one is near."""
    level: Literal["warning", "error"] = "error"
    """An error costs the key its value, or the file all of its values; a warning costs nothing."""

    def __str__(self) -> str:
        place: str = safe_text(str(self.file), single_line=True)
        if self.line is not None:
            place += f", line {self.line}"
        if self.column is not None:
            place += f", column {self.column}"
        key = f"`{self.key}` " if self.key else ""
        hint = f" Did you mean `{self.suggestion}`?" if self.suggestion else ""
        return f"{place}: {key}{self.message}{hint}"


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings that can be used whatever the file was like, and what to tell the user about it."""

    settings: Settings = field(default_factory=Settings)
    problems: tuple[ConfigProblem, ...] = ()
