"""The federation broker: whose clients reach this collective, and over which brokers."""

from __future__ import annotations

from choria_broker.access.subjects import is_literal
from choria_broker.config.resolve.companion_sides import MIDDLEWARE, Sides, bridge, check_addresses, endpoints, fits
from choria_broker.config.resolve.context import Context
from choria_broker.settings.companions import Federation
from choria_broker.settings.finding_codes import Code

FEDERATION = "plugin.choria.broker_federation"
HOSTS = "plugin.choria.federation_middleware_hosts"
CLUSTER = "plugin.choria.federation.cluster"
_RECORDS = ("_mcollective-federation_server._tcp", "_x-puppet-mcollective_federation._tcp")


def resolve_federation(context: Context, sides: Sides, *, network: bool) -> Federation | None:
    """Return the federation broker that is to run, None where a finding keeps it out.

    Args:
        context: inputs.
        sides: makes the sides.
        network: the network broker runs in the process.
    """
    values = context.values
    good = check_addresses(context, MIDDLEWARE)
    good = check_addresses(context, HOSTS) and good
    federation = sides.outside("federation", endpoints(context, HOSTS), _RECORDS)
    if not values.items(HOSTS) and not federation.srv:
        why = "SRV records are off" if not values.flag("plugin.choria.use_srv") else "no domain of SRV records is known"
        context.collector.refuse(
            Code.NO_FEDERATION_HOSTS,
            problem=f"the brokers of the federation are not known: {HOSTS} is not set, and {why}",
            remedy=f"set {HOSTS}",
            at=values.absent(HOSTS, FEDERATION),
        )
        good = False
    cluster = values.text(CLUSTER)
    if not is_literal(cluster) or not fits(cluster):
        context.collector.refuse(
            Code.FEDERATION_CLUSTER,
            problem="it cannot be a part of a subject",
            remedy="name it with letters, digits, - and _, as clients do in plugin.choria.federation.collectives",
            at=values.ref(CLUSTER),
        )
        good = False
    if not good:
        return None
    local = network and not values.items(MIDDLEWARE)
    collective = bridge("collective") if local else sides.middleware("collective")
    return Federation(cluster=cluster, federation=federation, collective=collective)
