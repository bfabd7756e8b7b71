"""What the tool that fetches wheels is told of the user's settings: where packages come from, and no more.

Any other setting may undo what is asked of the tool. With `no-binary` in a uv.toml, uv builds sources though
its command line says `--only-binary :all:`; what PIP_REQUIREMENT names, pip installs though nobody agreed to
it. Keys of providers stay away from the tool too.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from registry.errors import JackfieldError
from registry.launch import KEPT
from registry.text import safe_text

_ENVIRONMENT: Final = KEPT | {
    # where programs have their files and settings
    *("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_CACHE_HOME"),
    *("APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "ALLUSERSPROFILE", "SYSTEMDRIVE", "HOMEDRIVE", "HOMEPATH"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "PYENV_ROOT", "PYENV_VERSION"),
    # certificates
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CLIENT_CERT"),
    # where the credentials of an index are; of clouds, what names them and none that is one
    *("NETRC", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "AWS_PROFILE", "AWS_CONFIG_FILE"),
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_INSECURE_HOST"),
    *("UV_KEYRING_PROVIDER", "UV_CREDENTIALS_DIR", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_OFFLINE"),
    *("UV_HTTP_TIMEOUT", "UV_HTTP_CONNECT_TIMEOUT", "UV_HTTP_RETRIES", "UV_REQUEST_TIMEOUT"),
    *("UV_CONCURRENT_DOWNLOADS", "UV_CACHE_DIR"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST"),
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_KEYRING_PROVIDER", "PIP_CONFIG_FILE"),
    *("PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "PIP_CACHE_DIR", "PIP_NO_CACHE_DIR"),
}
_PREFIXES: Final = ("LC_", "UV_INDEX", "KEYRING_PROPERTY_")
_UV_SETTINGS: Final = (
    *("index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy"),
    *("keyring-provider", "allow-insecure-host", "native-tls", "system-certs", "offline"),
    *("http-proxy", "https-proxy", "no-proxy", "concurrent-downloads"),
)


def tool_environment(env: Mapping[str, str], temporary: Path) -> dict[str, str]:
    """What of the app's environment uv or pip is given; temporary files go into a folder of its own."""
    kept = {
        name: value
        for name, value in env.items()
        if name.upper() in _ENVIRONMENT or name.upper().startswith(_PREFIXES)
    }
    own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    return {**kept, **own, "UV_PYTHON_DOWNLOADS": "never"}


def write_uv_settings(file: Path, env: Mapping[str, str]) -> None:
    """Write the only file of settings that uv is to read: where packages come from.

    Args:
        file: what to write.
        env: says where the user's own files are.

    Raises:
        JackfieldError: one of them cannot be read.
        OSError: the file cannot be written.
    """
    merged: dict[str, Any] = {}
    for own in _uv_files(env):
        table = _read(own)
        _merge(merged, table)
        if isinstance(pip := table.get("pip"), dict):
            _merge(merged.setdefault("pip", {}), pip)
    if not merged:
        file.touch()
        return
    import tomlkit  # most users have no such settings, and need not wait for it

    file.write_text(tomlkit.dumps(merged), "utf-8")


def _merge(merged: dict[str, Any], table: Mapping[str, Any]) -> None:
    """Add the settings of another file, which count more; of lists, both count."""
    for name in _UV_SETTINGS:
        if name not in table:
            continue
        value, before = table[name], merged.get(name)
        merged[name] = [*value, *before] if isinstance(value, list) and isinstance(before, list) else value


def _uv_files(env: Mapping[str, str]) -> Iterator[Path]:
    """The files that uv itself would read where there is no project; what comes later counts more."""
    if env.get("UV_NO_CONFIG", "").lower() in ("1", "true", "yes", "on"):
        return
    if chosen := env.get("UV_CONFIG_FILE"):
        yield Path(chosen)
        return
    if os.name == "posix":
        shared = [*(env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"), "/etc"]
        own = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME") or Path.home(), ".config"))
    else:
        shared, own = [env.get("PROGRAMDATA", "")], env.get("APPDATA", "")
    found = [Path(folder, "uv", "uv.toml") for folder in shared if folder]
    yield from [file for file in found if file.is_file()][:1]
    if own and (file := Path(own, "uv", "uv.toml")).is_file():
        yield file


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise JackfieldError(
            "The settings of uv cannot be read",
            detail=safe_text(f"{file}: {error}", limit=1000),
            hint="Nothing was changed. Mend the file, then try again.",
        ) from error
