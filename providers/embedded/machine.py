"""Whether the runtime can run on this machine, found out before it is fetched, and what to do if not."""

from __future__ import annotations

import platform
import re
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jackfield import ErrorKind, ProviderError, safe_text
from providers.embedded.pins import Wheel, runtime_here

_NEEDED_FLAGS: Final = ("avx2", "fma", "f16c", "bmi2")
_MISSING_LIBRARY: Final = re.compile(r"(lib[\w+.-]+?\.so(?:\.\d+)*): cannot open shared object file")
_OTHER_MODEL: Final = "Choose another provider, or a model server on this machine such as Ollama."

# Which package holds a library, by the family of the distribution (ID or ID_LIKE of os-release).
_INSTALLERS: Final = {
    "debian": "sudo apt-get install",
    "ubuntu": "sudo apt-get install",
    "fedora": "sudo dnf install",
    "rhel": "sudo dnf install",
    "suse": "sudo zypper install",
    "opensuse": "sudo zypper install",
    "arch": "sudo pacman -S",
}
_PACKAGES: Final = {
    "libgomp.so.1": {"fedora": "libgomp", "rhel": "libgomp", "arch": "gcc-libs", "": "libgomp1"},
    "libstdc++.so.6": {"fedora": "libstdc++", "rhel": "libstdc++", "arch": "gcc-libs", "": "libstdc++6"},
    "libgcc_s.so.1": {"fedora": "libgcc", "rhel": "libgcc", "arch": "gcc-libs", "": "libgcc-s1"},
}


def check_machine() -> Wheel:
    """The runtime's wheel for this machine.

    Raises:
        ProviderError: there is none, or the processor lacks what it needs.
    """
    if _has_musl():
        raise unsupported("This system uses the musl C library (Alpine); the runtime needs glibc.")
    if sys.platform == "darwin" and _older(platform.mac_ver()[0], 13):
        raise unsupported(f"This is macOS {platform.mac_ver()[0]}; the runtime needs macOS 13 or later.")
    wheel = runtime_here()
    if wheel is None:
        raise unsupported(
            f"There is no runtime for {sys.platform} on {platform.machine() or 'this processor'}."
        )
    if sys.platform == "linux" and platform.machine() == "x86_64":
        check_processor(_read_cpuinfo())
    return wheel


def check_processor(cpuinfo: str) -> None:
    """Refuse a processor on which importing the runtime would be an illegal instruction.

    Args:
        cpuinfo: the text of /proc/cpuinfo; without a line of flags it proves nothing and passes.

    Raises:
        ProviderError: the processor lacks an instruction set.
    """
    found = re.search(r"^flags\s*:(.*)$", cpuinfo, re.MULTILINE)
    if found is None:
        return
    flags = set(found.group(1).split())
    missing = [flag.upper() for flag in _NEEDED_FLAGS if flag not in flags]
    if missing:
        raise unsupported(f"This processor lacks {', '.join(missing)}, which the runtime needs.")


def unsupported(detail: str) -> ProviderError:
    """The error for a machine on which the embedded model cannot run."""
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "The offline demo model cannot run on this machine",
        detail=safe_text(detail),
        hint=_OTHER_MODEL,
    )


def missing_library(stderr: str) -> ProviderError | None:
    """The error for a system library that is not installed, if that is what the text tells."""
    found = _MISSING_LIBRARY.search(stderr)
    if found is None:
        return None
    library = found.group(1)
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        f"A system library is missing: {library}",
        detail=f"The offline demo model's runtime needs {library}.",
        hint=f"{library_hint(library, _read_os_release())} Then press retry.",
    )


def library_hint(library: str, os_release: Mapping[str, str]) -> str:
    """How to install a library on a distribution, in one sentence.

    Args:
        library: the name of the shared object, such as `libgomp.so.1`.
        os_release: the fields of os-release.
    """
    packages = _PACKAGES.get(library)
    families = f"{os_release.get('ID', '')} {os_release.get('ID_LIKE', '')}".split()
    family = next((each for each in families if each in _INSTALLERS), None)
    if packages is None or family is None:
        return f"Install {library} with the package manager of this system."
    return f"Install it with `{_INSTALLERS[family]} {packages.get(family, packages[''])}`."


def _read_cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _read_os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _has_musl() -> bool:
    names = (sysconfig.get_config_var("HOST_GNU_TYPE"), sysconfig.get_config_var("SOABI"))
    return any("musl" in str(name) for name in names)


def _older(version: str, major: int) -> bool:
    first = version.partition(".")[0]
    return first.isdigit() and int(first) < major
