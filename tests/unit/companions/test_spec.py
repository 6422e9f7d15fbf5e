"""What companion processes are told to be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.companions.spec import ADAPTER, FEDERATION, Key, Share, Spec, packed, specs
from choria_broker.settings.companions import Adapter, Federation
from choria_broker.values import replace
from support.scenario import base

ALL = """plugin.choria.adapters = x
plugin.choria.adapter.x.type = choria_streams
plugin.choria.adapter.x.ingest.topic = t
plugin.choria.adapter.x.stream.servers = b:4222
plugin.nats.user = u
plugin.nats.pass = hunter2
plugin.choria.broker_federation = true
plugin.choria.federation_middleware_hosts = f:4222"""


def test_settings_come_out_as_they_went_in_and_no_secret_is_shown() -> None:
    settings = base(ALL).ok
    adapter, federation = specs(settings)
    assert (adapter.key, federation.key) == (Key(ADAPTER, "x"), Key(FEDERATION, "mcollective"))
    assert adapter.settings(Adapter) == settings.adapters[0]
    assert federation.settings(Federation) == settings.federation
    assert settings.adapters[0].output.password
    assert "hunter2" not in repr(adapter) + repr(settings)
    assert specs(base(ALL).ok) == (adapter, federation)
    assert specs(base(ALL + "\nloglevel = debug").ok)[0] != adapter
    assert specs(base("").ok) == ()


def test_another_version_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        Spec(Key(ADAPTER, "x"), "b", b"\x80").settings(Adapter)


def test_only_settings_are_packed() -> None:
    (adapter,) = base(*ALL.splitlines()[:3]).ok.adapters
    with pytest.raises(TypeError):
        packed(replace(adapter, name=object()))  # type: ignore[arg-type]


def test_names() -> None:
    assert Key(ADAPTER, "x").words == "adapter x"
    assert Key(FEDERATION, "london").words == "the federation broker of cluster london"


def test_the_share_of_a_process() -> None:
    assert list(Share(1, 4).workers(10)) == [1, 5, 9]
    assert (Share(1, 4).part(10), Share(3, 4).part(2), Share().part(10)) == (3, 1, 10)


@given(st.integers(1, 20), st.integers(1, 20))
def test_shares_are_all_workers_once(count: int, of: int) -> None:
    shares = [Share(number, of) for number in range(of)]
    assert sorted(worker for share in shares for worker in share.workers(count)) == list(range(count))
    assert all(share.part(count) >= 1 for share in shares)
