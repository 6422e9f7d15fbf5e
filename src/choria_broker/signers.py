"""Reading the files that hold signer keys."""

from __future__ import annotations

from pathlib import Path

from choria_broker.access.build import signer_file_names
from choria_broker.config.settings import Settings


def read_signers(settings: Settings) -> dict[str, bytes | None]:
    """Read every signer file that the policy asks for.

    Returns:
        Content by entry, as the entry is written in the settings; None for a file that could not be read.
    """
    return {entry: _read(Path(entry)) for entry in signer_file_names(settings)}


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
