"""What runs beside the network broker, or without one: adapters and the federation broker, each a companion."""

from __future__ import annotations

import msgspec

from choria_broker.settings.secret import Secret


class SideTls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS of a companion's connections; paths as text, since they go to another process.

    Attributes:
        certificate, key: PEM files of the own identity, empty without one.
        ca: PEM bundle of trusted CAs, empty for those of the system.
        verify: verify the other side's certificate and its name.
    """

    certificate: str = ""
    key: str = ""
    ca: str = ""
    verify: bool = True


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A network that a companion connects to, and how it logs in there.

    Attributes:
        name: ``ingest`` or ``output`` of an adapter, ``federation`` or ``collective`` of the federation broker.
        bridge: it is the engine of this process; nothing else of this counts then.
        servers: ``host:port`` of brokers; where there are any nothing else is tried.
        srv: names of SRV records that are asked for brokers at each attempt, in this order, until one has some.
        last_resort: ``host:port`` of brokers that are tried when no record has any.
        tls: None for clear text.
        user, password: login; sent beside a token. None and empty for none.
        token, seed: paths of a Choria token and of the seed that signs with it, empty for none.
        credentials: path of a NATS credentials file, empty for none.
        inbox: prefix of the subjects of answers.
    """

    name: str
    bridge: bool = False
    servers: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()
    last_resort: tuple[str, ...] = ()
    tls: SideTls | None = None
    user: str = ""
    password: Secret | None = None
    token: str = ""
    seed: str = ""
    credentials: str = ""
    inbox: str = "_INBOX"


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter: it takes messages of the Choria protocol from one subject, and publishes what is in them to another.

    Attributes:
        name: of the adapter.
        topic: subject to subscribe to; it may have wildcards.
        request: the messages are requests; False: replies.
        ingest_workers, output_workers: how many workers read, and publish.
        queue: messages that may wait between the two.
        target: subject to publish to; each ``%s`` in it becomes the sender's id.
        ingest, output: where from and where to.
    """

    name: str
    topic: str
    request: bool = False
    ingest_workers: int = 10
    output_workers: int = 10
    queue: int = 1000
    target: str
    ingest: Side
    output: Side


class Federation(msgspec.Struct, frozen=True, kw_only=True):
    """The federation broker of one cluster.

    Attributes:
        cluster: name under which federated clients address the collective.
        federation: where clients are.
        collective: where servers are.
        processes: how many processes share the work, if there are as many cores.
    """

    cluster: str
    federation: Side
    collective: Side
    processes: int = 4
