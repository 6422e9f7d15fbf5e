"""Reading the files that hold signer keys."""

from __future__ import annotations

from pathlib import Path

from choria_broker.config.settings import Settings


def read_signers(settings: Settings) -> dict[str, bytes | None]:
    """Read every signer entry that names a file.

    Returns:
        Content by entry, as the entry is written in the settings; None for a file that could not be read.
    """
    network = settings.network
    entries = [*network.client_signers, *network.server_signers]
    if network.provisioning.signer:
        entries.append(str(network.provisioning.signer))
    return {entry: _read(Path(entry)) for entry in entries}


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
