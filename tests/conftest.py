"""Every test has an app home of its own and no keyring, and in CI a test that is skipped has failed."""

from __future__ import annotations

import gc
import itertools
import os
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.keyring_session import NULL_BACKEND, KeyringSession, running_keyring

NO_SKIPS = os.environ.get("JACKFIELD_CI") == "1" and sys.platform == "linux"

# How long an example takes says more of the machine than of the code. In CI the examples are the same each
# time, so that a change is judged by what it changes; everywhere else each run tries new ones.
settings.register_profile(
    "jackfield", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=NO_SKIPS
)
settings.load_profile("jackfield")

_numbers = itertools.count()


def _move_home(environment: pytest.MonkeyPatch, folders: pytest.TempPathFactory) -> None:
    for name in [name for name in os.environ if name.startswith("JACKFIELD_")]:
        environment.delenv(name)
    # the developer's own keyring is neither read nor written; see `keyring_session`
    environment.setenv("PYTHON_KEYRING_BACKEND", NULL_BACKEND)
    # made by whoever writes first, as on a fresh machine
    environment.setenv("JACKFIELD_HOME", str(folders.getbasetemp() / f"home-{next(_numbers)}"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Four thousand tests are no garbage: a full collection over them all takes most of a second."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def keyring_session(app_home: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyringSession]:
    """A real keyring, empty and unlocked, for this test alone; without it, a test finds no keyring.

    It is gnome-keyring on a private message bus, with a private home. This process uses it at once: a
    `KeyringStore` made here, or an app that runs in the test, finds it. A child process does, too, if it
    inherits the environment of this one or gets `keyring_session.environment` as its `env`. The session can
    be locked, killed, stopped and unlocked again, and tells with `items()` all that it holds. It takes about
    a quarter of a second to start; all its processes end with the test.
    """
    with running_keyring() as session:
        session.use_here(monkeypatch)
        yield session


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
