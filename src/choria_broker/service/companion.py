"""What companions there are, put together for their processes."""

from __future__ import annotations

from collections.abc import Sequence

from choria_broker.adapters.work import AdapterWork
from choria_broker.companions import worker
from choria_broker.companions.spec import ADAPTER, FEDERATION, Spec
from choria_broker.config.resolve.peers import srv_targets
from choria_broker.config.surroundings.discovery import lookup_srv
from choria_broker.federation.work import FederationWork
from choria_broker.host.apart import apart
from choria_broker.settings.companions import Adapter, Federation, Side

_SRV_SECONDS = 3.0


def _sides_of_adapter(spec: Spec) -> tuple[Side, ...]:
    adapter = spec.settings(Adapter)
    return adapter.ingest, adapter.output


def _sides_of_federation(spec: Spec) -> tuple[Side, ...]:
    federation = spec.settings(Federation)
    return federation.federation, federation.collective


KINDS: dict[str, worker.CompanionKind] = {
    ADAPTER: (AdapterWork, _sides_of_adapter),
    FEDERATION: (FederationWork, _sides_of_federation),
}


async def _look_up(record: str) -> Sequence[str]:
    """Ask for an SRV record, and return ``host:port`` of the targets that can be used."""
    answer = await apart(lambda: lookup_srv(record, _SRV_SECONDS))
    return [each.authority for each in srv_targets(answer).good]


def serve(descriptor: int) -> int:
    """Be the process of a companion.

    Args:
        descriptor: of the channel to the broker.

    Returns:
        The exit status.
    """
    return worker.serve(descriptor, KINDS, _look_up)
