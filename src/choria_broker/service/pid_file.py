"""The file with the process id of the broker, for those who signal it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from choria_broker.errors import BrokerError
from choria_broker.host.private_file import EVERYBODY_READS, replace_file


@contextlib.contextmanager
def pid_file(path: Path | None, kept: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold a file with this process's id; it goes when the broker ends in order.

    Args:
        path: where it is; None for no file.
        kept: tells at the end whether the process goes on, and the file with it.

    Raises:
        BrokerError: it cannot be written.
    """
    if path is None:
        yield
        return
    try:
        replace_file(path, str(os.getpid()), mode=EVERYBODY_READS)
    except OSError as error:
        raise BrokerError(f"could not write the process id to {path}, given with --pid: {error.strerror}") from error
    try:
        yield
    finally:
        if not kept():
            path.unlink(missing_ok=True)
