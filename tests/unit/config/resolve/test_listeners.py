"""Listen addresses: what this host can bind of them."""

from __future__ import annotations

import socket

import pytest

from choria_broker.config.resolve.listeners import listen_addresses
from choria_broker.host.facts import Bindable
from choria_broker.host.listening import bindable, bound
from choria_broker.settings.finding_codes import Severity
from choria_broker.values import replace
from support.scenario import NET, Result, base

STATISTICS = "plugin.choria.stats_port = 8222"
LOCALHOST = {"localhost": Bindable(("127.0.0.1", "::1"))}


def listening(*lines: str, **found: Bindable) -> Result:
    return base(STATISTICS, *lines, facts={"bindable": {key.replace("_", ":"): each for key, each in found.items()}})


def test_the_engine_gets_the_address_that_can_be_bound() -> None:
    found = listening(NET + "listen_address = name", name=Bindable(("127.0.0.1",), ("::1",)))
    assert found.ok.network.listen_address == "127.0.0.1"
    finding = found.one("listens-on-less")
    assert (finding.severity, finding.key) == (Severity.INFO, NET + "listen_address")
    assert "::1" in finding.problem


def test_without_ipv6_every_address_is_every_ipv4_address() -> None:
    found = listening(__=Bindable(("0.0.0.0",), ("::",)))  # noqa: S104 - nothing is bound
    assert found.ok.network.listen_address == "0.0.0.0"  # noqa: S104 - the same
    finding = found.one("listens-on-less")
    assert "0.0.0.0" in finding.effect  # noqa: S104 - the same
    assert finding.problem == "this host has no IPv6"
    found = listening("plugin.choria.stats_address = ::", __=Bindable(("0.0.0.0",), ("::",)))  # noqa: S104 - the same
    (text,) = (str(each) for each in found.findings if each.key.endswith("stats_address"))
    assert 'plugin.choria.stats_address = "::": this host has no IPv6; it listens on 0.0.0.0.' in text


def test_the_engine_listens_on_one_address_of_a_name_and_statistics_on_all() -> None:
    found = listening(NET + "listen_address = name", "plugin.choria.stats_address = name", name=LOCALHOST["localhost"])
    assert found.ok.network.listen_address == "127.0.0.1"
    assert found.ok.statistics.places == ("127.0.0.1", "::1")
    assert found.ok.statistics.address == "name"
    assert "only one of them" in found.one("listens-on-less").effect


@pytest.mark.parametrize("key", [NET + "listen_address", "plugin.choria.stats_address"])
def test_what_cannot_be_bound_is_refused_with_its_key(key: str) -> None:
    finding = listening(f"{key} = name", name=Bindable(lacking=("::1",), problem="no such luck")).one(
        "address-unavailable"
    )
    assert (finding.severity, finding.key, finding.problem) == (Severity.REFUSE, key, "no such luck")


@pytest.mark.parametrize(
    ("later", "problem"),
    [
        (Bindable(problem="the name is not known"), "the name is not known"),
        (Bindable(lacking=("127.0.0.1",), problem="this host does not have it"), "this host does not have it"),
        (Bindable(("127.0.0.2",)), "now has the addresses 127.0.0.2"),
        (Bindable(("127.0.0.2", "127.0.0.1")), ""),
    ],
    ids=str,
)
def test_a_running_broker_listens_where_it_began_to(later: Bindable, problem: str) -> None:
    lines = (NET + "listen_address = name", "plugin.choria.stats_address = name")
    began = listening(*lines, name=Bindable(("127.0.0.1",)))
    found = began.reloaded(bindable={"name": later})
    assert found.ok.network.listen_address == "127.0.0.1"
    assert found.ok.statistics == began.ok.statistics
    told = [each for each in found.findings if each.code == "address-unavailable"]
    assert [(each.severity, each.key, each.problem) for each in told] == (
        [(Severity.WARN, each.partition(" ")[0], problem) for each in lines] if problem else []
    )
    assert all("keeps listening on 127.0.0.1" in each.effect for each in told)


def test_a_listener_that_is_yet_to_come_is_refused_an_address_as_at_a_start() -> None:
    began = base(NET + "listen_address = name", facts={"bindable": {"name": Bindable(("127.0.0.1",))}})
    lost = {each: Bindable(problem="no such luck") for each in ("name", "other", "127.0.0.1")}
    for line in (STATISTICS, "plugin.choria.network.listen_address = other"):
        asked = base(NET + "listen_address = name", line)
        changed = replace(asked, settings=began.ok).reloaded(bindable=lost)
        assert Severity.REFUSE in {each.severity for each in changed.findings if each.code == "address-unavailable"}


def test_ports_clash_at_the_addresses_that_are_bound() -> None:
    lines = [NET + "client_port = 8222", NET + "listen_address = ::1", "plugin.choria.stats_address = name"]
    assert "port-clash" not in listening(*lines, name=Bindable(("127.0.0.1",))).codes()
    assert listening(*lines, name=LOCALHOST["localhost"]).one("port-clash").severity is Severity.REFUSE


def test_every_ipv4_address_is_every_address_to_the_engine() -> None:
    lines = [NET + "client_port = 8222", NET + "listen_address = 0.0.0.0"]
    assert base(STATISTICS, *lines, "plugin.choria.stats_address = ::1").one("port-clash").severity is Severity.REFUSE


def test_only_addresses_that_will_be_listened_at_are_tried() -> None:
    assert listen_addresses(base().values) == ("::",)
    assert listen_addresses(base(STATISTICS).values) == ("::", "127.0.0.1")
    text = f"{NET}listen_address = [::1]\nplugin.choria.stats_address = a b"
    assert listen_addresses(base(STATISTICS, text).values) == ("::1",)
    assert listen_addresses(base(STATISTICS, "plugin.choria.broker_network = false").values) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1", Bindable(("127.0.0.1",))),
        ("[::ffff:127.0.0.1]", Bindable(("127.0.0.1",))),
        ("192.0.2.254", Bindable(lacking=("192.0.2.254",), problem="this host does not have the address")),
        ("fe80::1%none0", Bindable(lacking=("fe80::1%none0",), problem="this host does not have the address")),
        ("a b", Bindable(problem="not a host name")),
        ("nowhere.invalid.", Bindable(problem="the name nowhere.invalid is not known")),
    ],
)
def test_bindable(monkeypatch: pytest.MonkeyPatch, text: str, found: Bindable) -> None:
    real = socket.getaddrinfo

    def lookup(host: str, *arguments: object, **options: object) -> object:
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return real(host, *arguments, **options)  # type: ignore[arg-type] # passed on as they are

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert bindable(text) == found


def test_a_bound_port_is_taken() -> None:
    with bound("127.0.0.1", 0) as sock:
        sock.listen(1)
        with pytest.raises(OSError, match="in use"):
            bound("127.0.0.1", sock.getsockname()[1])
