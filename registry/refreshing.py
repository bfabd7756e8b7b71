"""Renews the credentials of connections: ahead of their expiry, and when a server refused them.

A refresh token is often good for one use, and a server that sees one twice may end the whole sign-in
(RFC 6749, section 10.4; RFC 9700, section 4.14.2). So of all tasks, threads and processes one refreshes,
under a lock of the connection; whoever gets the lock next reads the store again and finds nothing to do.

The renewed credential is stored before anybody uses it. The store is read right before the server is asked,
so that one that is locked or gone is noticed while the old refresh token is still good. What remains is the
time between the server's answer and the end of the write: a process that is killed then loses this sign-in,
if the server rotates, and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from registry.connection import Connection, find, new_revision, put
from registry.connection_file import ConnectionFile
from registry.errors import JackfieldError
from registry.file_lock import file_lock
from registry.kept_credentials import KeptCredentials, SignInNeededError
from registry.provider import ErrorKind, ProviderError
from registry.single_flight import SingleFlight
from registry.text import safe_text

if TYPE_CHECKING:
    import httpx

    from registry.auth import Credential

MAX_LEEWAY_S: Final = 60.0
"""How long before its expiry a credential is renewed at the most, in seconds."""
LOCK_LIMIT_S: Final = 90.0
"""How long to wait while another instance renews the same connection, in seconds."""
REFRESH_LIMIT_S: Final = 30.0
"""How long a server may take to renew a credential, in seconds."""
PAUSE_S: Final = 30.0
"""How long a credential that is still good is used after it could not be renewed, before trying again."""

_logger = logging.getLogger("jackfield.connections")


class Refresher:
    """Renews credentials, each once for all who want it.

    Args:
        file: which connections there are.
        kept: their credentials.
        folder: where the locks of connections are.
        client: makes the HTTP client that a plugin's servers are asked with.
        clock: the time in Unix seconds.
        complain: told when a renewed credential could not be stored.
    """

    def __init__(
        self,
        file: ConnectionFile,
        kept: KeptCredentials,
        folder: Path,
        client: Callable[[str], Awaitable[httpx.AsyncClient]],
        *,
        clock: Callable[[], float],
        complain: Callable[[JackfieldError], None],
    ) -> None:
        self._file = file
        self._kept = kept
        self._folder = folder
        self._client = client
        self._clock = clock
        self._complain = complain
        self._flights = SingleFlight()
        self._paused: dict[tuple[str, str], float] = {}

    async def current(self, connection: Connection) -> Credential:
        """The credential of a connection, renewed if it is about to expire.

        Where that fails for a reason that will pass, one that is still good is given as it is.

        Raises:
            SignInNeededError: it cannot be renewed without the user.
            ProviderError: it has expired, and cannot be renewed now.
            StoreError: its store cannot be read or written.
        """
        key = (connection.plugin, connection.label)
        credential = self._kept.cached(connection)
        if credential is None:
            credential = await self._flights.run(
                ("read", *key, connection.revision), lambda: self._kept.read(connection)
            )
        if not self._is_due(connection, credential):
            return credential
        if not _can_renew(credential):
            if self._has_expired(credential):
                raise SignInNeededError(connection, "It has expired, and cannot be renewed.")
            return credential
        if not self._has_expired(credential) and time.monotonic() < self._paused.get(key, 0.0):
            return credential
        try:
            return await self._flights.run(("ahead", *key), lambda: self._renew(connection, None))
        except JackfieldError as error:
            if isinstance(error, SignInNeededError) or self._has_expired(credential):
                raise
            self._paused[key] = time.monotonic() + PAUSE_S
            _logger.warning("%s was not renewed: %s", connection.title, error.title)
            return credential

    async def replace_rejected(self, connection: Connection, rejected: Credential) -> Credential | None:
        """Another credential than the one that a server refused; None where it cannot be renewed.

        Raises:
            SignInNeededError: it cannot be renewed without the user.
            ProviderError: it cannot be renewed now.
            StoreError: its store cannot be read or written.
        """
        if not _can_renew(rejected):
            return None
        key = ("rejected", connection.plugin, connection.label)
        for _ in range(2):  # the flight under way may be for an older credential
            renewed = await self._flights.run(key, lambda: self._renew(connection, rejected))
            if renewed.token != rejected.token:
                return renewed
        return None

    async def _renew(self, connection: Connection, rejected: Credential | None) -> Credential:
        async with self.lock(connection):
            entry = find(await self._file.read(), connection.plugin, connection.label)
            if entry is None:
                raise SignInNeededError(connection, "It was signed out or renamed meanwhile.")
            stored = await self._kept.read(entry)
            if self._is_done(entry, stored, rejected):
                return await self._note(entry, stored)
            if entry.needs_sign_in:
                raise SignInNeededError(entry, entry.needs_sign_in)
            renewed = await self._ask_server(entry, stored)
            try:
                await self._kept.write(entry, renewed)
            except JackfieldError as error:
                self._complain(_not_stored(entry, error))
                return self._kept.hold(entry, renewed)
            return await self._note(entry, renewed, written=True)

    def lock(self, connection: Connection) -> AbstractAsyncContextManager[None]:
        """Held by whoever changes the secrets of a connection; one holder among all tasks and processes.

        Entering it raises LockedError when somebody else holds it for `LOCK_LIMIT_S` seconds.
        """
        digest = hashlib.sha256(connection.label.casefold().encode()).hexdigest()[:16]
        return file_lock(self._folder / f"{connection.plugin}-{digest}", LOCK_LIMIT_S)

    async def _ask_server(self, entry: Connection, stored: Credential) -> Credential:
        from registry.oauth import OAuthError, refresh_credential  # httpx, which only a refresh needs

        try:
            async with asyncio.timeout(REFRESH_LIMIT_S), await self._client(entry.plugin) as client:
                return await refresh_credential(stored, client, clock=self._clock)
        except TimeoutError as error:
            raise _not_renewed(entry, f"The server did not answer within {REFRESH_LIMIT_S:g} s.") from error
        except OAuthError as error:
            if error.error != "invalid_grant":  # nothing else says that the refresh token is void
                raise _not_renewed(
                    entry, f"{error.title}. {error.detail}", temporary=error.temporary
                ) from error
            reason = "The server no longer renews it."
            await self._mark(entry, reason)
            raise SignInNeededError(entry, reason) from error

    async def _mark(self, entry: Connection, reason: str) -> None:
        """Note that the user has to sign in again."""
        async with self._file.change() as entries:
            put(entries, entry, replace(entry, needs_sign_in=reason))

    async def _note(self, entry: Connection, credential: Credential, *, written: bool = False) -> Credential:
        """Note in the list of connections what the store now has, so that other instances read it anew."""
        noted = described(entry, credential, now=self._clock())
        if not written and noted.expires_at == entry.expires_at and not entry.needs_sign_in:
            return self._kept.remember(entry, credential)
        try:
            async with self._file.change() as entries:
                put(entries, entry, noted)
        except JackfieldError as error:  # the store has it, and that is what counts
            self._complain(error)
        return self._kept.remember(noted, credential)

    def _is_done(self, entry: Connection, stored: Credential, rejected: Credential | None) -> bool:
        if rejected is None:
            return not self._is_due(entry, stored)
        return stored.token != rejected.token and not self._has_expired(stored)

    def _is_due(self, connection: Connection, credential: Credential) -> bool:
        """Whether it has expired or is about to.

        A quarter of its lifetime is the most that it is early: a token that lives for less than a minute
        would be renewed at each use.
        """
        if credential.expires_at is None:
            return False
        left = credential.expires_at - self._clock()
        if credential.expires_at != connection.expires_at:  # nobody noted when it began
            return left <= 0
        return left <= min(MAX_LEEWAY_S, max(0.0, credential.expires_at - connection.renewed_at) / 4)

    def _has_expired(self, credential: Credential) -> bool:
        return credential.expires_at is not None and credential.expires_at <= self._clock()

    async def aclose(self, limit_s: float) -> None:
        """Let what is under way end, and store what could not be stored before.

        Args:
            limit_s: how long to wait, in seconds.
        """
        await self._flights.aclose(limit_s)
        for connection in self._kept.held:
            try:
                async with asyncio.timeout(limit_s), self.lock(connection):
                    entry = find(await self._file.read(), connection.plugin, connection.label)
                    if entry is not None:
                        await self._note(entry, await self._kept.read(entry))
            except (JackfieldError, OSError) as error:  # a TimeoutError is an OSError
                _logger.warning("the sign-in of %s ends with the app: %s", connection.title, error)


def described(connection: Connection, credential: Credential, *, now: float) -> Connection:
    """The connection with what there is to know of a credential that was just stored.

    Args:
        connection: as it was.
        credential: what was stored.
        now: in Unix seconds.
    """
    expires_at = credential.expires_at
    return replace(
        connection,
        expires_at=expires_at if expires_at is not None and math.isfinite(expires_at) else None,
        scopes=tuple(safe_text(scope, single_line=True, limit=200) for scope in credential.scopes),
        renewable=_can_renew(credential),
        renewed_at=now,
        needs_sign_in="",
        revision=new_revision(),
    )


def _can_renew(credential: Credential) -> bool:
    return credential.grant is not None and "refresh_token" in credential.secrets


def _not_renewed(connection: Connection, cause: str, *, temporary: bool = True) -> ProviderError:
    return ProviderError(
        ErrorKind.CONNECTION if temporary else ErrorKind.AUTH,
        f"The sign-in to {connection.title} could not be renewed",
        detail=safe_text(cause, limit=500),
        hint="Try again in a moment; you are still signed in."
        if temporary
        else f"Sign in again with `jackfield auth login {connection.plugin}` if it goes on.",
    )


def _not_stored(connection: Connection, error: JackfieldError) -> JackfieldError:
    return JackfieldError(
        f"The renewed sign-in to {connection.title} could not be stored",
        detail=str(error),
        hint="It holds until Jackfield ends. Mend the secret store before that, or sign in again then.",
    )
