"""A machine that cannot run the embedded model is told so, with what to do instead."""

from __future__ import annotations

import re

import pytest

from jackfield import ErrorKind, ProviderError
from providers.embedded import machine
from providers.embedded.machine import check_machine, check_processor, library_hint, missing_library
from providers.embedded.pins import WEIGHTS, Wheel, find_runtime

MODERN = "processor\t: 0\nflags\t\t: fpu sse4_2 avx f16c fma bmi1 avx2 bmi2 erms\n"


def test_a_processor_with_all_instructions_passes() -> None:
    check_processor(MODERN)


@pytest.mark.parametrize("flag", ["avx2", "fma", "f16c", "bmi2"])
def test_a_processor_without_one_of_them_is_refused_by_its_name(flag: str) -> None:
    with pytest.raises(ProviderError) as caught:
        check_processor(MODERN.replace(f" {flag}", ""))
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert flag.upper() in caught.value.detail
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "processor : 0\nFeatures : fp asimd\n"])
def test_a_processor_that_tells_nothing_is_given_a_try(text: str) -> None:
    check_processor(text)


def test_an_old_processor_is_refused_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.embedded.machine.sys.platform", "linux")
    monkeypatch.setattr("providers.embedded.machine.platform.machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "_read_cpuinfo", lambda: MODERN.replace("avx2", ""))
    with pytest.raises(ProviderError, match="cannot run on this machine"):
        check_machine()


def test_alpine_is_told_about_its_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "providers.embedded.machine.sysconfig.get_config_var", lambda name: "x86_64-pc-linux-musl"
    )
    with pytest.raises(ProviderError, match="musl"):
        check_machine()


def test_an_old_macos_is_told_which_one_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.embedded.machine.sys.platform", "darwin")
    monkeypatch.setattr("providers.embedded.machine.platform.mac_ver", lambda: ("12.7", ("", "", ""), ""))
    with pytest.raises(ProviderError, match="macOS 13"):
        check_machine()


def test_a_platform_without_a_runtime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "runtime_here", lambda: None)
    monkeypatch.setattr("providers.embedded.machine.platform.machine", lambda: "riscv64")
    with pytest.raises(ProviderError, match="riscv64"):
        check_machine()


@pytest.mark.parametrize(
    ("system", "processor", "found"),
    [
        *[("linux", "x86_64", True), ("linux", "aarch64", True), ("darwin", "arm64", True)],
        *[("darwin", "x86_64", True), ("win32", "AMD64", True)],
        *[("win32", "ARM64", False), ("linux", "riscv64", False), ("freebsd14", "amd64", False)],
    ],
)
@pytest.mark.parametrize("free_threaded", [False, True])
def test_every_platform_has_its_own_wheel_or_none(
    system: str, processor: str, found: bool, free_threaded: bool
) -> None:
    wheel = find_runtime(system, processor, free_threaded=free_threaded)
    assert (wheel is not None) is found


def test_no_two_wheels_are_alike() -> None:
    wheels = [WEIGHTS]
    for system, processor in [
        *[("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")],
        *[("darwin", "x86_64"), ("win32", "amd64")],
    ]:
        for free_threaded in (False, True):
            wheel = find_runtime(system, processor, free_threaded=free_threaded)
            assert isinstance(wheel, Wheel)
            wheels.append(wheel)
    assert len({wheel.sha256 for wheel in wheels}) == 11
    assert len({wheel.folder for wheel in wheels}) == 11
    assert all(re.fullmatch(r"[0-9a-f]{64}", wheel.sha256) for wheel in wheels)


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ({"ID": "debian"}, "sudo apt-get install libgomp1"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "sudo apt-get install libgomp1"),
        ({"ID": "fedora"}, "sudo dnf install libgomp"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "sudo dnf install libgomp"),
        ({"ID": "arch"}, "sudo pacman -S gcc-libs"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "sudo zypper install libgomp1"),
    ],
)
def test_a_missing_library_comes_with_the_command_of_the_distribution(
    os_release: dict[str, str], command: str
) -> None:
    assert f"`{command}`" in library_hint("libgomp.so.1", os_release)


@pytest.mark.parametrize("library", ["libgomp.so.1", "libother.so.2"])
def test_on_an_unknown_system_the_library_is_named(library: str) -> None:
    assert library in library_hint(library, {})


def test_an_import_error_names_its_library() -> None:
    error = missing_library("ImportError: libgomp.so.1: cannot open shared object file: No such file")
    assert error is not None
    assert error.title == "A system library is missing: libgomp.so.1"
    assert missing_library("ImportError: something else") is None
