"""``choria-broker find``: where somebody is, or was."""

from __future__ import annotations

from pathlib import Path

import click

from choria_broker.cli.answers import asking, show
from choria_broker.cli.options import as_json, running_broker
from choria_broker.cli.progress import progress
from choria_broker.control.client import ask_find
from choria_broker.sessions.words import found


@click.command()
@click.argument("text")
@running_broker
@as_json
def find(*, text: str, config: Path, as_json: bool) -> None:
    """Find somebody in the cluster: connected, disconnected or refused lately, or not seen since the broker started.

    TEXT is part of an identity, a caller id, an address, a user name, a token id, a key, or the name, serial number or
    fingerprint of a certificate; or the whole number of a connection. With a system user, all members of the cluster
    are asked.

    Exit status 0: somebody was found. 1: no broker runs with this configuration, or it did not answer. 3: nobody was
    found.
    """
    if not 0 < len(text) <= _LONGEST:
        raise click.UsageError(f"TEXT has 1 to {_LONGEST} characters")
    with asking(), progress("Asking the members of the cluster"):
        result = ask_find(config, text)
    show(result, found(result), as_json=as_json)
    if all(each.nothing for each in result.brokers):
        raise SystemExit(3)


_LONGEST = 256
