"""The child process that the embedded model runs in: started when first needed, ended with the app."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from jackfield import ErrorKind, ProviderError
from providers.embedded.machine import missing_library, unsupported
from providers.embedded.process import NEW_SESSION, LastLines, kill, read_lines

CHILD_SCRIPT: Final = Path(__file__).with_name("child.py")
_START_LIMIT_S: Final = 120.0
"""A slow disk and a busy processor may need long; a child that never answers must still end."""
_END_LIMIT_S: Final = 2.0
_MOST_THREADS: Final = 8
"""The model is so small that more threads wait for each other longer than they calculate."""
_ILLEGAL_INSTRUCTION: Final = frozenset({-4, 0xC000001D})
_KILLED: Final = -9
_ENVIRONMENT: Final = frozenset(
    {
        *("PATH", "HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "WINDIR"),
        *("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"),
    }
)
_RETRY: Final = "Press retry to start it again."


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What the child is told, on its stdin: other users can read arguments and, at times, environments."""

    runtime: str
    """The folder that the runtime is imported from."""
    model: str
    """The GGUF file."""
    name: str
    """What the server calls the model."""
    n_ctx: int
    """Tokens of prompt and answer together."""
    n_threads: int
    n_threads_batch: int
    api_key: str = ""

    @classmethod
    def for_machine(cls, runtime: Path, model: Path, name: str, n_ctx: int) -> ChildConfig:
        """A configuration with as many threads as serve this machine best.

        One core less than there are for writing: with all of them, any other work on the machine makes
        each token wait. Reading the prompt has no such hurry and takes all.
        """
        cores = _cores()
        return cls(
            runtime=str(runtime),
            model=str(model),
            name=name,
            n_ctx=n_ctx,
            n_threads=min(_MOST_THREADS, max(1, cores - 1)),
            n_threads_batch=min(_MOST_THREADS, cores),
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a running child listens, and the key it asks for."""

    address: str
    api_key: str

    @property
    def headers(self) -> dict[str, str]:
        """What every request has to carry."""
        return {"Authorization": f"Bearer {self.api_key}"}


class EmbeddedServer:
    """At most one child process; `ensure_running` starts it, also after it ended.

    Args:
        script: what the child runs; a test may give another.
    """

    def __init__(self, script: Path = CHILD_SCRIPT) -> None:
        self._script = script
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said = LastLines()
        self._endpoint: Endpoint | None = None
        self._closed = False

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the child listens, or None when none runs."""
        running = self._process is not None and self._process.returncode is None
        return self._endpoint if running else None

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid if self._process is not None else None

    async def ensure_running(self, config: ChildConfig) -> Endpoint:
        """Where the child listens; it is started when none runs.

        Raises:
            ProviderError: it could not be started.
        """
        async with self._starting:
            endpoint = self.endpoint
            if endpoint is None:
                await self._end()
                self._endpoint = None  # that of the last one counts no more
                endpoint = await self._start(replace(config, api_key=secrets.token_urlsafe(32)))
                self._endpoint = endpoint
            return endpoint

    async def explain_end(self) -> ProviderError | None:
        """The error for a child that ended by itself, or None while it runs."""
        if self._process is None:
            return None
        with contextlib.suppress(TimeoutError):
            # Its connections break a moment before the system reports its end.
            await asyncio.wait_for(asyncio.shield(self._process.wait()), 1.0)
        if self._process.returncode is None:
            return None
        return ProviderError(
            ErrorKind.CONNECTION,
            "The embedded model stopped unexpectedly",
            detail="\n".join(filter(None, (_describe_end(self._process.returncode), self._said.text(4)))),
            hint=_RETRY,
        )

    async def aclose(self) -> None:
        """End the child. None is started any more."""
        self._closed = True
        async with self._starting:
            await self._end()

    def _check_open(self) -> None:
        if self._closed:
            raise ProviderError(ErrorKind.CANCELLED, "The embedded model is switched off")

    async def _start(self, config: ChildConfig) -> Endpoint:
        self._check_open()
        self._said = LastLines()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(self._script)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=child_environment(os.environ),
                **NEW_SESSION,  # type: ignore[arg-type]
            )
        except OSError as error:
            raise unsupported(f"A process could not be started: {error}") from error
        endpoint: Endpoint | None = None
        try:
            address = await asyncio.wait_for(self._greet(self._process, config), _START_LIMIT_S)
            self._check_open()  # it may have been closed meanwhile
            endpoint = Endpoint(address, config.api_key)
            return endpoint
        except TimeoutError:
            raise ProviderError(
                ErrorKind.TIMEOUT,
                "The embedded model did not start in time",
                detail=self._said.text(4),
                hint=_RETRY,
            ) from None
        finally:
            if endpoint is None:  # while it loads, it would not notice the end of its stdin
                await kill(self._process)
                await self._end()

    async def _greet(self, process: asyncio.subprocess.Process, config: ChildConfig) -> str:
        """Send the configuration and wait for the address."""
        assert process.stdin is not None  # noqa: S101 - for the type checker: they are pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        self._reading = asyncio.create_task(
            _collect(process.stderr, self._said), name="embedded model: stderr"
        )
        with contextlib.suppress(ConnectionError):  # it ended already; its exit status tells more
            process.stdin.write(json.dumps(asdict(config)).encode() + b"\n")
            await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            code = await process.wait()
            await self._reading
            raise start_error(code, self._said)
        try:
            return str(json.loads(line)["address"])
        except (ValueError, KeyError, TypeError):
            raise unsupported("The model's process answered with something that is no address.") from None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()  # which is how it is told to end
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _END_LIMIT_S)
        finally:
            await kill(process)
        if self._reading is not None:
            await self._reading
            self._reading = None


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the child: no keys, no proxies, and threads that sleep while they wait.

    With OpenMP's usual busy waiting, any other work on the machine slows the model down many times over.
    """
    kept = {key: value for key, value in environ.items() if key.upper() in _ENVIRONMENT}
    return kept | {"OMP_WAIT_POLICY": "passive"}


def start_error(code: int, said: LastLines) -> ProviderError:
    """The error for a child that ended before it served."""
    if code in _ILLEGAL_INSTRUCTION:
        return unsupported(
            "The processor lacks an instruction that the runtime needs (AVX2, FMA, F16C, BMI2)."
        )
    if code == _KILLED:
        return ProviderError(
            ErrorKind.UNAVAILABLE,
            "The system ended the embedded model as it started",
            detail="Most often there is too little memory: it needs about 350 MB.",
            hint="Close other programs, then press retry.",
        )
    return missing_library(said.text()) or ProviderError(
        ErrorKind.UNAVAILABLE,
        "The embedded model could not be started",
        detail="\n".join(filter(None, (_describe_end(code), said.text(6)))),
        hint=_RETRY,
    )


def _describe_end(code: int) -> str:
    if code == _KILLED:
        return "Its process was killed, most often because the machine ran out of memory."
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"Its process ended by the signal {signal.Signals(-code).name}."
    return f"Its process ended with status {code}."


async def _collect(stream: asyncio.StreamReader, said: LastLines) -> None:
    async with contextlib.aclosing(read_lines(stream)) as lines:
        async for line in lines:
            said.add(line)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # what a container or taskset leaves
    return os.cpu_count() or 1
