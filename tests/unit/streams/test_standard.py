"""The standard streams, field by field."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings.broker import Settings
from choria_broker.settings.network import Network
from choria_broker.settings.operator import Operator, OperatorAccount
from choria_broker.settings.security import Issuer, Security
from choria_broker.settings.streams import STANDARD_STREAMS, Streams
from choria_broker.settings.tls import Tls
from choria_broker.streams.standard import document, plan, stream_accounts
from choria_broker.values import replace
from support.standard_streams import ELECTION, EXPECTED, standard

ON = Streams(store=Path("/s"))


def test_every_field_of_every_stream() -> None:
    documents = [document(each) for each in plan(ON, 0).managed]
    assert documents == [{"name": name} | fields for name, fields in EXPECTED.items()]


def test_a_retention_of_0_turns_the_executors_stream_off() -> None:
    made = plan(replace(ON, standard=standard(executor=(0.0, -1))), 0)
    assert [each.name for each in made.managed] == [name for name in EXPECTED if name != "CHORIA_EXECUTOR"]
    assert made.left_alone == ("CHORIA_EXECUTOR",)
    assert made.wanted == (-1,) * (len(EXPECTED) - 1)


@pytest.mark.parametrize("retention", [0.0, -1.0])
def test_streams_without_retention_are_left_alone(retention: float) -> None:
    off = {each.key: (retention, -1) for each in STANDARD_STREAMS if each.name != ELECTION}
    made = plan(replace(ON, standard=standard(**off)), 3)
    assert [each.name for each in made.managed] == [ELECTION]
    assert made.left_alone == tuple(name for name in EXPECTED if name != ELECTION)


def test_nothing_is_managed_when_nothing_is_to_be() -> None:
    made = plan(replace(ON, manage=False), 3)
    assert (made.managed, made.wanted) == ((), ())
    assert made.left_alone == tuple(EXPECTED)


def test_each_stream_has_its_own_copies() -> None:
    streams = replace(
        ON,
        standard=standard(event=(1.0, 1), machine=(1.0, 2), executor=(1.0, 5), leader_election=(60.0, 3)),
    )
    made = plan(streams, 4)
    chosen = {"CHORIA_EVENTS": 1, "CHORIA_MACHINE": 2, "CHORIA_EXECUTOR": 5, ELECTION: 3}
    assert [each.replicas for each in made.managed] == [chosen.get(name, 4) for name in EXPECTED]
    assert made.wanted == tuple(chosen.get(name, -1) for name in EXPECTED)
    assert made.peers == 4


@given(st.floats(0.1, 3e8), st.integers(0, 9))
def test_ages_are_whole_nanoseconds(age: float, peers: int) -> None:
    (events, *_) = plan(replace(ON, standard=standard(event=(age, -1))), peers).managed
    written = document(events)["max_age"]
    assert isinstance(written, int)
    assert written == pytest.approx(age * 1e9)


ISSUERS = (
    Issuer(name="acme", public_key="ab", account="ACME"),
    Issuer(name="globex", public_key="cd", account="ACME"),
    Issuer(name="choria", public_key="ef"),
    Issuer(name="x", public_key="0", account="X"),
)


@pytest.mark.parametrize(
    ("streams", "issuers", "accounts"),
    [
        (Streams(), (), ()),
        (Streams(), ISSUERS, ()),
        (ON, (), ("choria",)),
        (ON, ISSUERS, ("choria", "ACME", "X")),
    ],
)
def test_accounts_of_organizations_have_the_streams_too(
    streams: Streams, issuers: tuple[Issuer, ...], accounts: tuple[str, ...]
) -> None:
    settings = Settings(
        source=Path("/b.conf"),
        identity="b",
        tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
        network=Network(streams=streams, accounts=("OTHER",)),
        security=Security(issuers=issuers),
    )
    assert stream_accounts(settings) == accounts


CHOSEN = OperatorAccount(name="ACME", key="A" * 56, token="t", credentials=Path("/store/creds/ACME/choria.creds"))


@pytest.mark.parametrize(
    ("choria", "store", "accounts"),
    [
        (CHOSEN, "/store", ("ACME",)),
        (replace(CHOSEN, credentials=None), "/store", ()),
        (None, "/store", ()),
        (CHOSEN, "", ()),
    ],
)
def test_in_operator_mode_the_chosen_account_has_the_streams(
    choria: OperatorAccount | None, store: str, accounts: tuple[str, ...]
) -> None:
    operator = Operator(name="OPS", directory=Path("/ops"), token="t", choria=choria)
    network = Network(operator=operator, streams=Streams(store=Path(store) if store else None))
    settings = Settings(
        source=Path("/broker.conf"),
        identity="b.example.net",
        tls=Tls(enabled=False, everywhere=False, verify_clients=False, files=None),
        network=network,
    )
    assert stream_accounts(settings) == accounts
