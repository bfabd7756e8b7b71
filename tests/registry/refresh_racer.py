"""A process that asks for the service's credential once it is told to; run with `python -m`."""

from __future__ import annotations

import asyncio
import sys

from tests.registry.connection_fixtures import make_connections


async def main() -> None:
    """Say that all is ready, wait for a line, and print the token that a request would be signed with."""
    connections = make_connections()
    assert [entry.label for entry in await connections.all()] == ["work"]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    credential = await connections.resolve("service")
    assert credential is not None
    sys.stdout.write(credential.token + "\n")
    await connections.aclose()


if __name__ == "__main__":
    asyncio.run(main())
