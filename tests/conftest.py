"""Every test has an app home of its own, and in CI a test that is skipped has failed."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Generator, Iterator

import pytest

NO_SKIPS = os.environ.get("JACKFIELD_CI") == "1" and sys.platform == "linux"
_numbers = itertools.count()


def _move_home(environment: pytest.MonkeyPatch, folders: pytest.TempPathFactory) -> None:
    for name in [name for name in os.environ if name.startswith("JACKFIELD_")]:
        environment.delenv(name)
    # made by whoever writes first, as on a fresh machine
    environment.setenv("JACKFIELD_HOME", str(folders.getbasetemp() / f"home-{next(_numbers)}"))


@pytest.fixture(scope="session", autouse=True)
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What runs before and between tests never finds the developer's own settings and conversations."""
    with pytest.MonkeyPatch.context() as environment:
        _move_home(environment, tmp_path_factory)
        yield


@pytest.fixture(autouse=True)
def app_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each test begins as on a machine where the app was never started."""
    _move_home(monkeypatch, tmp_path_factory)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what was skipped, but not what is expected to fail."""
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed in CI: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself as a whole."""
    report = yield
    if NO_SKIPS and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed in CI: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
