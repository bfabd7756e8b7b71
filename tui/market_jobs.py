"""Installations under way: each a task of its own, several at once, none bound to a screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from registry.errors import JackfieldError
from registry.redaction import redact
from registry.text import safe_text

if TYPE_CHECKING:
    from registry.marketplace.consent import Confirm, Request
    from registry.marketplace.install import Step
    from registry.marketplace.live import Change
    from registry.marketplace.planning import Plan


class JobState(StrEnum):
    """Where an installation stands."""

    PLANNING = "planning"
    ASKING = "asking"
    """It waits for the user's answer."""
    WORKING = "working"
    DONE = "done"
    STOPPED = "stopped"
    """The user cancelled it."""
    REFUSED = "refused"
    """The user did not agree to what it asks for."""
    TOO_YOUNG = "too young"
    """Nothing but the age of the version keeps it out."""
    FAILED = "failed"


RUNNING = frozenset({JobState.PLANNING, JobState.ASKING, JobState.WORKING})


@dataclass
class Job:
    """One installation."""

    id: str
    marketplace: str
    version: str | None
    """None for the newest."""
    ignore_age: bool = False
    state: JobState = JobState.PLANNING
    plan: Plan | None = None
    step: Step | None = None
    request: Request | None = None
    """What it asks for, while it waits for the answer."""
    shown: bool = False
    """Whether what it asks for is on the screen."""
    error: JackfieldError | None = None
    change: Change | None = None
    """What it did, once it is done."""
    told: bool = False
    """Whether a list has shown its end."""
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    answer: asyncio.Future[bool] | None = None
    task: asyncio.Task[None] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """As the rows of the index have it."""
        return self.marketplace, self.id

    @property
    def running(self) -> bool:
        """Whether it has not come to an end."""
        return self.state in RUNNING

    @property
    def ready_at(self) -> datetime | None:
        """Until when the version has to wait, when nothing but its age keeps it out."""
        if self.plan is None or self.ignore_age or len(self.plan.obstacles) != 1:
            return None
        return self.plan.obstacles[0].ready_at

    @property
    def is_update(self) -> bool:
        """Whether another version was there before."""
        return self.plan is not None and self.plan.before is not None


Work: TypeAlias = "Callable[[Job, Confirm, Callable[[Step], None]], Awaitable[None]]"
"""Plans and installs; sets `job.plan` on the way."""


def _end_of(job: Job) -> JobState:
    """Which end an error is."""
    if job.error is not None:  # the answer was no
        return JobState.REFUSED
    return JobState.TOO_YOUNG if job.ready_at is not None else JobState.FAILED


class Jobs:
    """All installations since the start, the last one of each plugin.

    Args:
        work: does one.
        tell: called after every change, in the event loop.
        ended: told each that came to an end by itself.
    """

    def __init__(
        self, work: Work, tell: Callable[[], None], ended: Callable[[Job], None] = lambda _: None
    ) -> None:
        self._work = work
        self._tell = tell
        self._ended = ended
        self._jobs: dict[tuple[str, str], Job] = {}

    def get(self, key: tuple[str, str]) -> Job | None:
        """The last installation of a plugin."""
        return self._jobs.get(key)

    def all(self) -> tuple[Job, ...]:
        """Every installation, the oldest first."""
        return tuple(self._jobs.values())

    def asking(self) -> Job | None:
        """One that waits for an answer."""
        return next((job for job in self._jobs.values() if job.state is JobState.ASKING), None)

    def start(self, job: Job) -> Job:
        """Begin it; one of the same plugin that is under way is given back in its place."""
        known = self._jobs.get(job.key)
        if known is not None and known.running:
            return known
        self._jobs.pop(job.key, None)
        self._jobs[job.key] = job
        job.task = asyncio.create_task(self._run(job), name=f"install {job.id}")
        job.task.add_done_callback(lambda _: self._never_ran(job))
        self._tell()
        return job

    def _never_ran(self, job: Job) -> None:
        """What is stopped before its first step does not come as far as to say so."""
        if job.running:
            job.state = JobState.STOPPED
            self._tell()

    async def _run(self, job: Job) -> None:
        loop = asyncio.get_running_loop()

        def progress(step: Step) -> None:
            loop.call_soon_threadsafe(self._note, job, step)

        async def confirm(request: Request) -> bool:
            job.state, job.request, job.answer = JobState.ASKING, request, loop.create_future()
            self._tell()
            agreed = await job.answer
            job.state, job.request, job.answer = JobState.WORKING, None, None
            job.error = None if agreed else JackfieldError("You did not agree to what it asks for")
            self._tell()
            return agreed

        try:
            await self._work(job, confirm, progress)
            job.state = JobState.DONE
        except asyncio.CancelledError:
            job.state, job.error = JobState.STOPPED, None
            raise
        except JackfieldError as error:
            job.state, job.error = _end_of(job), error
        except Exception as error:  # noqa: BLE001 - the border to the installer: whatever it is, it is shown in the list
            detail = safe_text(redact(f"{type(error).__name__}: {error}"), limit=500)
            job.state = JobState.FAILED
            job.error = JackfieldError(f"Installing {job.id} failed in the app itself", detail=detail)
        finally:
            job.request = job.answer = None
            self._tell()
        self._ended(job)

    def forget_all_but(self, keys: Collection[tuple[str, str]]) -> None:
        """Take the ends of those off the list whose plugins are no longer offered."""
        for key, job in tuple(self._jobs.items()):
            if key not in keys and not job.running:
                del self._jobs[key]

    def _note(self, job: Job, step: Step) -> None:
        if job.running:
            job.state, job.step = JobState.WORKING, step
            self._tell()

    def answer(self, job: Job, *, agreed: bool) -> None:
        """Say whether the user agrees to what one asks for."""
        if job.answer is not None and not job.answer.done():
            job.answer.set_result(agreed)

    def cancel(self, job: Job) -> None:
        """Stop one; what was installed before stays as it was."""
        if job.task is not None and job.running:
            job.task.cancel()

    def forget(self, key: tuple[str, str]) -> None:
        """Take the end of one off the list."""
        job = self._jobs.get(key)
        if job is not None and not job.running:
            del self._jobs[key]
            self._tell()

    async def aclose(self) -> None:
        """Stop all, and wait for their ends."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
