"""Prepares a store for the engine, which is not to delete what nobody wants to be deleted.

The engine does not delete a stream without having been asked to by the Streams API: it moves the stream's directory,
and says so in its log. So nothing has to be copied, and nothing takes room that did not take it before; but for damaged
blocks, which the engine copies there before it cuts anything off.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from choria_broker.host.private_file import replace_file
from choria_broker.streams.history import RECORD
from choria_broker.streams.recognition import kept_earlier
from choria_broker.streams.store import KEPT, kept_directories, last_use
from choria_broker.streams.trouble import Trouble
from choria_broker.streams.use import Use, written

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_MOST_TOLD = 20


def for_want_of_room(error: OSError) -> bool:
    """Tell whether an error comes from a full file system or a quota."""
    return error.errno in _NO_ROOM


class Safekeeping:
    """What is done to one store while an engine has it.

    Args:
        store: the directory of the settings.
        use: what it is used as.
        partly: not all members are known.
    """

    def __init__(self, store: Path, use: Use, *, partly: bool = False) -> None:
        """Touch nothing yet."""
        self._store = store
        self._use = use
        self._partly = partly

    def prepare(self) -> tuple[Trouble, ...]:
        """Make the place for what is kept, and write down the use.

        Returns:
            What was kept earlier.

        Raises:
            OSError: there is no room, see ``for_want_of_room``, or the store cannot be written.
        """
        place = self._store / KEPT
        place.mkdir(mode=0o700, exist_ok=True)
        last = last_use(self._store)
        use = self._use.after(last, partly=self._partly)
        if last != use:
            replace_file(self._store / RECORD, written(use))
        return tuple(kept_earlier(str(each)) for each in kept_directories(self._store)[:_MOST_TOLD])

    def leave(self) -> None:
        """Remove the place for what is kept unless something is there; call it when the engine has ended."""
        with contextlib.suppress(OSError):
            (self._store / KEPT).rmdir()
