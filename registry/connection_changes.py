"""The changes that are made to connections: each done to a list that nobody else changes meanwhile.

Locks are taken in one order: that of the connection, then that of the list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from registry.connection import Connection, activate, find, free_label, put, same
from registry.connection_file import ConnectionFile
from registry.contract import line
from registry.errors import JackfieldError
from registry.kept_credentials import KeptCredentials
from registry.refreshing import described

if TYPE_CHECKING:
    import httpx

    from registry.auth import Credential

REVOKE_LIMIT_S: Final = 10.0
"""How long signing out waits for the server, in seconds."""


@dataclass(frozen=True, slots=True)
class SignOut:
    """What became of a sign-out. The secret is gone from this machine in any case."""

    revoked: bool | None
    """Whether the server ended the sign-in; None where it has no way to do that."""
    problem: str = ""
    """Why the server did not end it, in one line."""
    now_active: str = ""
    """The label of the connection that took its place, if it was the active one and there is another."""


class ConnectionChanges:
    """Adds, renames and removes connections and their secrets. `Connections` says what each change promises.

    Args:
        file: which connections there are.
        kept: their credentials.
        lock: held while the secrets of a connection are changed.
        client: makes the HTTP client that a plugin's servers are asked with.
        clock: the time in Unix seconds.
        complain: told of what went wrong beside a change that was made.
    """

    def __init__(
        self,
        file: ConnectionFile,
        kept: KeptCredentials,
        lock: Callable[[Connection], AbstractAsyncContextManager[None]],
        client: Callable[[str], Awaitable[httpx.AsyncClient]],
        *,
        clock: Callable[[], float],
        complain: Callable[[JackfieldError], None],
    ) -> None:
        self._file = file
        self._kept = kept
        self._lock = lock
        self._client = client
        self._clock = clock
        self._complain = complain

    async def add(self, blank: Connection, credential: Credential) -> Connection:
        """Write the secret, then the list."""
        await self._kept.store(blank)  # which may ask for a passphrase: not while others are locked out
        added: Connection | None = None
        try:
            async with self._file.change() as entries:
                taken = [entry.label for entry in entries if entry.plugin == blank.plugin]
                named = replace(blank, label=free_label(blank.label, taken))
                added = described(named, credential, now=self._clock())
                await self._kept.write(added, credential)
                entries.append(added)
                activate(entries, added)
        except BaseException:
            await self._take_back(added)
            raise
        self._kept.remember(added, credential)
        return added

    async def sign_in_again(self, wanted: Connection, credential: Credential) -> Connection:
        """Write the new secret, then the list, then delete the old secret if another store has it.

        Args:
            wanted: the connection, with the method and the store that it has from now on.
            credential: the new one.
        """
        await self._kept.store(wanted)
        async with self._lock(wanted):
            old = await self.existing(wanted.plugin, wanted.label)
            moved = replace(old, method=wanted.method, type=wanted.type, store=wanted.store)
            renewed = described(moved, credential, now=self._clock())
            await self._kept.write(renewed, credential)
            async with self._file.change() as entries:
                put(entries, old, renewed)
            self._kept.forget(old)
            if old.store is not renewed.store:
                await self._delete_old(old, renewed)
        self._kept.remember(renewed, credential)
        return renewed

    async def rename(self, plugin: str, label: str, new: str) -> Connection:
        """Write the secret under the new name, then the list, then delete what the old name has."""
        known = await self.existing(plugin, label)
        if known.label == new:
            return known
        await self._kept.store(known)
        renamed: Connection | None = None
        async with self._lock(known):
            try:
                async with self._file.change() as entries:
                    entry = _renamable(entries, plugin, label, new)
                    credential = await self._kept.read(entry)
                    renamed = replace(entry, label=new)
                    await self._kept.write(renamed, credential)
                    entries[entries.index(entry)] = renamed
            except BaseException:
                if new.casefold() != known.label.casefold():
                    await self._take_back(renamed)
                raise
            await self._delete_old(entry, renamed)
            if new.casefold() == entry.label.casefold():
                # some stores, that of Windows among them, do not tell the two names apart
                await self._kept.write(renamed, credential)
            self._kept.remember(renamed, credential)
        return renamed

    async def _take_back(self, written: Connection | None) -> None:
        """Delete the secret of a connection that did not come into the list."""
        if written is None:
            return
        with suppress(JackfieldError):  # the error that led here is the one to tell
            await self._kept.delete(written)

    async def _delete_old(self, old: Connection, new: Connection) -> None:
        try:
            await self._kept.delete(old)
        except JackfieldError as error:
            where = "its old label" if old.store is new.store else "its old place"
            self._complain(
                JackfieldError(
                    f"The secret of {old.title} is still stored under {where} as well",
                    detail=str(error),
                    hint="It can be deleted with the keyring's own program.",
                )
            )

    async def use(self, plugin: str, label: str) -> Connection:
        """Change which one is active."""
        async with self._file.change() as entries:
            entry = find(entries, plugin, label)
            if entry is None:
                raise no_connection(plugin, label, entries)
            activate(entries, entry)
        return replace(entry, active=True)

    async def sign_out(self, plugin: str, label: str) -> SignOut:
        """Tell the server, then delete the secret, then change the list."""
        known = await self.existing(plugin, label)
        await self._kept.store(known)  # one that cannot be opened is told before the server is
        async with self._lock(known):
            entry = await self.existing(plugin, label)
            revoked, problem = await self._revoke(entry)
            await self._kept.delete(entry)
            now_active = ""
            async with self._file.change() as entries:
                entries[:] = [other for other in entries if not same(other, entry)]
                rest = [other for other in entries if other.plugin == plugin]
                if entry.active and rest and not any(other.active for other in rest):
                    activate(entries, rest[-1])
                    now_active = rest[-1].label
        return SignOut(revoked, problem, now_active)

    async def _revoke(self, entry: Connection) -> tuple[bool | None, str]:
        try:
            credential = self._kept.cached(entry) or await self._kept.read(entry)
        except JackfieldError as error:
            return False, error.title
        if credential.grant is None or not credential.grant.revocation_endpoint:
            return None, ""
        import httpx

        from registry.oauth import revoke_credential

        try:
            async with asyncio.timeout(REVOKE_LIMIT_S), await self._client(entry.plugin) as client:
                return await revoke_credential(credential, client) or None, ""
        except TimeoutError:
            return False, f"The server did not answer within {REVOKE_LIMIT_S:g} s."
        except (JackfieldError, httpx.HTTPError) as error:
            return False, line(error)

    async def existing(self, plugin: str, label: str) -> Connection:
        """The connection of this label.

        Raises:
            JackfieldError: there is none.
        """
        entries = await self._file.read()
        entry = find(entries, plugin, label)
        if entry is None:
            raise no_connection(plugin, label, entries)
        return entry


def _renamable(entries: Sequence[Connection], plugin: str, label: str, new: str) -> Connection:
    entry = find(entries, plugin, label)
    if entry is None:
        raise no_connection(plugin, label, entries)
    other = find(entries, plugin, new)
    if other is not None and other != entry:
        raise JackfieldError(f"There already is a connection {other.title}", hint="Choose another label.")
    return entry


def no_connection(plugin: str, label: str, entries: Sequence[Connection]) -> JackfieldError:
    """The error for a label that no connection of the plugin has."""
    known = ", ".join(entry.label for entry in entries if entry.plugin == plugin)
    return JackfieldError(
        f"There is no connection {line(plugin)} ({line(label)})",
        detail=f"Connections of {line(plugin)}: {known or 'none'}",
        hint=f"Connect it with `jackfield auth login {line(plugin)}`, or name one that is there.",
    )
