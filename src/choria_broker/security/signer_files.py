"""Which signers of the settings are given as files with their keys."""

from __future__ import annotations

from choria_broker.security.keys import is_hex_key
from choria_broker.settings.broker import Settings


def signer_file_names(settings: Settings) -> tuple[str, ...]:
    """Name the files that hold the keys of signers, each once, as the policy asks for them.

    An entry of 64 hex digits is a key, even when a file of that name exists. Without TLS no signer counts, so there is
    nothing to read.
    """
    network = settings.network
    if not settings.tls.enabled:
        return ()
    entries = [*network.client_signers, *network.server_signers]
    if network.provisioning.signer is not None:
        entries.append(str(network.provisioning.signer))
    return tuple(dict.fromkeys(entry for entry in entries if not is_hex_key(entry)))
