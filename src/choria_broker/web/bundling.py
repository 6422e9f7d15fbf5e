"""Has the command ``bundle`` make its file for the dashboard: in a process of its own, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from choria_broker.errors import BrokerError
from choria_broker.host.environment import for_children

PATIENCE = 60.0
"""Seconds that it may take."""

LARGEST = 64 << 20
"""Bytes that it may have."""

_GOOD = (0, 3)
"""Exit statuses with a file: whole, or without what could not be had."""

_CHUNK = 1 << 16
_LONGEST_COMPLAINT = 300


class BundleError(BrokerError):
    """There is no file; the message is one sentence without its full stop."""


class Bundling:
    """Makes bundles.

    Args:
        options: tells the options of the command.
        program: how the program is started.
        patience: seconds that it may take.
    """

    def __init__(
        self,
        options: Callable[[], Sequence[str]],
        program: Sequence[str] = (sys.executable, "-m", "choria_broker"),
        patience: float = PATIENCE,
    ) -> None:
        """Nothing is made yet."""
        self._options = options
        self._program = program
        self._patience = patience
        self._turn = asyncio.Lock()

    async def made(self) -> bytes:
        """Make one, and return the file.

        Raises:
            BundleError: it cannot be had.
        """
        if self._turn.locked():
            raise BundleError("another bundle is being made at this moment")
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._run()
            except TimeoutError:
                raise BundleError(f"the bundle was not made within {self._patience:.0f} s") from None
            except OSError as error:
                raise BundleError(f"the bundle cannot be made: {error.strerror or error}") from error

    async def _run(self) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *self._program,
            "bundle",
            "--output",
            "-",
            *self._options(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=for_children(os.environ),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                complaint = tasks.create_task(_read(process.stderr, 1 << 20))
                content = await _read(process.stdout, LARGEST)
            status = await process.wait()
        finally:
            # Who asked may have gone away.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if len(content) >= LARGEST:
            raise BundleError(f"the bundle has more than {LARGEST >> 20} MiB; make it with choria-broker bundle")
        if status not in _GOOD or not content:
            said = complaint.result().decode(errors="replace").strip().splitlines()
            raise BundleError(
                f"the bundle cannot be made: {(said or ['no reason was given'])[-1][:_LONGEST_COMPLAINT]}"
            )
        return content


async def _read(stream: asyncio.StreamReader | None, most: int) -> bytes:
    """Read to the end, or so many bytes."""
    read = bytearray()
    while stream and len(read) < most and (chunk := await stream.read(min(_CHUNK, most - len(read)))):
        read += chunk
    return bytes(read)
