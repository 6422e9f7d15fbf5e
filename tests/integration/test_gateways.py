"""Clusters joined by gateways, with real brokers: TLS in all its forms, who is refused, what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from choria_broker.broker import NetworkBroker
from choria_broker.config.load import load
from choria_broker.errors import ConfigurationError
from choria_broker.settings.finding_codes import Severity
from choria_broker.values import replace
from support.tap_relay import Wiretap, tapped
from support.testbed import Authority, client
from support.topology import (
    Node,
    Setting,
    answered,
    broker,
    carried,
    configure,
    formed,
    gateways,
    joined,
    logged,
    page,
    peers,
    running,
)

HANDSHAKE, CONNECT = 0x16, ord("C")
"""First byte from who opens a connection: with TLS, and in clear text."""


async def test_two_clusters_are_joined_and_carry_messages(tmp_path: Path, authority: Authority) -> None:
    tokyo, london = [Node("b1.tokyo.example"), Node("b2.tokyo.example")], [Node("b1.london.example")]
    brokers = [
        broker(tmp_path, authority, node, **gateways(node, "Tokyo", London=london), **peers(*tokyo)) for node in tokyo
    ]
    brokers += [broker(tmp_path, authority, node, **gateways(node, "London", Tokyo=tokyo)) for node in london]
    bob = authority.context(authority.issue("bob.mcollective"))
    async with running(brokers):
        await formed(*tokyo)
        for node in tokyo:
            await joined(node, "London")
        await joined(london[0], "Tokyo")
        async with client(brokers[0], bob) as one, client(brokers[1], bob) as two, client(brokers[2], bob) as far:
            await carried(one, far)
            await carried(two, far)
            await carried(far, one)
            await carried(far, two)


async def test_a_request_is_answered_from_the_other_cluster(tmp_path: Path, authority: Authority) -> None:
    here, there = Node("b1.tokyo.example"), Node("b1.london.example")
    first = broker(tmp_path, authority, here, **gateways(here, "Tokyo", London=[there]))
    second = broker(tmp_path, authority, there, **gateways(there, "London", Tokyo=[here]))
    bob = authority.context(authority.issue("bob.mcollective"))
    async with first, second, client(first, bob) as caller, client(second, bob) as server:
        assert await answered(caller, server) == b"pong"


def beginnings(*taps: Wiretap) -> set[int]:
    """Return the first bytes that those sent who opened connections."""
    return {opener[0] for tap in taps for opener, _ in tap.connections if opener}


async def on_the_wire(folder: Path, authority: Authority, **settings: Setting) -> tuple[bytes, set[int]]:
    """Send a message from one cluster to another; return all gateways carried, and first bytes of connections."""
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    async with tapped(one.gateway) as to_one, tapped(two.gateway) as to_two:
        one_seen, two_seen = (
            replace(one, gateway=to_one.port),
            replace(two, gateway=to_two.port),
        )
        first = broker(folder, authority, one, **gateways(one, "Tokyo", London=[two_seen]), **settings)
        second = broker(folder, authority, two, **gateways(two, "London", Tokyo=[one_seen]), **settings)
        bob = authority.context(authority.issue("bob.mcollective"))
        async with first, second, client(first, bob) as here, client(second, bob) as there:
            await joined(one, "London")
            await carried(here, there, "mcollective.wiretap")
        return to_one.heard + to_two.heard, beginnings(to_one, to_two)


async def test_gateways_carry_nothing_in_clear_text(tmp_path: Path, authority: Authority) -> None:
    heard, first_bytes = await on_the_wire(tmp_path, authority)
    assert first_bytes == {HANDSHAKE}
    for text in (b"mcollective.wiretap", b"across", b"CONNECT", b"INFO"):
        assert text not in heard


async def test_without_gateway_tls_gateways_are_clear_text(tmp_path: Path, authority: Authority) -> None:
    heard, first_bytes = await on_the_wire(tmp_path, authority, network__gateway_tls=False)
    assert first_bytes == {CONNECT}
    assert b"mcollective.wiretap" in heard


async def test_remotes_with_files_of_their_own_join_networks_of_different_authorities(
    tmp_path: Path, authority: Authority
) -> None:
    (tmp_path / "london").mkdir()
    foreign = Authority(tmp_path / "london")
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    brokers = []
    for node, name, remote, own_ca, far_ca, far in (
        (one, "Tokyo", "London", authority, foreign, two),
        (two, "London", "Tokyo", foreign, authority, one),
    ):
        visitor = far_ca.issue(f"visitor.{node.identity}", "localhost")
        prefix = f"network__gateway_remote__{remote}__tls"
        own: dict[str, Setting] = {
            f"{prefix}__cert": visitor.certificate,
            f"{prefix}__key": visitor.key,
            f"{prefix}__ca": far_ca.ca,
        }
        brokers.append(broker(tmp_path, own_ca, node, **gateways(node, name, **{remote: [far]}), **own))
    async with running(brokers):
        await joined(one, "London")
        await joined(two, "Tokyo")
        bobs = [each.context(each.issue("bob.mcollective")) for each in (authority, foreign)]
        async with client(brokers[0], bobs[0]) as here, client(brokers[1], bobs[1]) as there:
            await carried(here, there)
            await carried(there, here)


@pytest.mark.parametrize("word", ["no", "false", "off", "0", "No", "FALSE"])
async def test_verification_of_one_remote_can_be_off(tmp_path: Path, authority: Authority, word: str) -> None:
    one, two = Node("b1.tokyo.example", "127.0.0.1"), Node("b1.london.example", "127.0.0.1", names=())
    loose = {"network__gateway_remote__London__tls__verify": word}
    first = broker(tmp_path, authority, one, **gateways(one, "Tokyo", London=[two]), **loose)
    second = broker(tmp_path, authority, two, **gateways(two, "London", Tokyo=[one]))
    async with first, second:
        await joined(one, "London")
        await joined(two, "Tokyo")


async def test_a_name_that_is_not_in_the_certificate_keeps_a_gateway_away(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Node("b1.tokyo.example", "127.0.0.1"), Node("b1.london.example", "127.0.0.1", names=())
    first = broker(tmp_path, authority, one, **gateways(one, "Tokyo", London=[two]))
    second = broker(tmp_path, authority, two, **gateways(two, "London", Tokyo=[one]))
    async with first, second:
        line = await logged(caplog, "TLS gateway handshake error", "doesn't contain any IP SANs")
        assert "list it by its name, or add the address to the certificate" in line
        assert not (await page(one, "/gatewayz"))["outbound_gateways"]


@pytest.mark.parametrize("word", ["yes", "on", "1"])
async def test_tls_to_one_remote_can_be_off(tmp_path: Path, authority: Authority, word: str) -> None:
    """A cluster with TLS reaches an old one in clear text, which has to bring TLS of its own to reach it."""
    one, old, third = Node("b1.tokyo.example"), Node("b1.london.example"), Node("b1.paris.example")
    visitor = authority.issue("visitor.london.example", "localhost")
    prefix = "network__gateway_remote__Tokyo__tls"
    back: dict[str, Setting] = {
        "network__gateway_tls": False,
        f"{prefix}__cert": visitor.certificate,
        f"{prefix}__key": visitor.key,
        f"{prefix}__ca": authority.ca,
    }
    async with tapped(old.gateway) as clear, tapped(third.gateway) as secured:
        seen = {
            "London": [replace(old, gateway=clear.port)],
            "Paris": [replace(third, gateway=secured.port)],
        }
        brokers = [
            broker(
                tmp_path,
                authority,
                one,
                **gateways(one, "Tokyo", **seen),
                network__gateway_remote__London__tls__disable=word,
            ),
            broker(tmp_path, authority, old, **gateways(old, "London", Tokyo=[one]), **back),
            broker(tmp_path, authority, third, **gateways(third, "Paris", Tokyo=[one])),
        ]
        async with running(brokers):
            await joined(one, "London", "Paris")
            await joined(old, "Tokyo")
            await joined(third, "Tokyo")
            links = (await page(one, "/gatewayz"))["outbound_gateways"]
    # Once the others have told of themselves, the engine may dial them past the relays.
    secured_ones = {name for name, link in links.items() if "tls_version" in link["connection"]}
    assert (set(links), secured_ones) == ({"London", "Paris"}, {"Paris"})
    assert beginnings(clear) <= {CONNECT}
    assert beginnings(secured) <= {HANDSHAKE}


async def test_a_cluster_that_is_not_listed_is_refused(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, odd = Node("b1.tokyo.example"), Node("b1.london.example"), Node("b1.paris.example")
    first = broker(tmp_path, authority, one, **gateways(one, "Tokyo", London=[two]))
    second = broker(tmp_path, authority, two, **gateways(two, "London", Tokyo=[one]))
    stranger = broker(tmp_path, authority, odd, **gateways(odd, "Paris", Tokyo=[one]))
    async with first, second, stranger:
        await joined(one, "London")
        await joined(two, "Tokyo")
        await logged(caplog, 'Rejecting connection from gateway "Paris"')
        for node in (one, odd):
            gatewayz = await page(node, "/gatewayz")
            assert "Paris" not in gatewayz["inbound_gateways"]
            assert "Paris" not in gatewayz["outbound_gateways"]


async def test_a_fleet_nodes_certificate_does_not_make_a_gateway(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    own = authority.issue("web17.example.net")
    disguise: dict[str, Setting] = {
        "plugin__security__file__certificate": own.certificate,
        "plugin__security__file__key": own.key,
    }
    first = broker(tmp_path, authority, one, **gateways(one, "Tokyo", London=[two]))
    second = broker(tmp_path, authority, two, **gateways(two, "London", Tokyo=[one]), **disguise)
    async with first, second:
        line = await logged(caplog, "gid:", "link refused")
        assert 'no name in its certificate is listed here; names: "web17.example.net"' in line
        assert "plugin.choria.network.gateway_remote" in line
        assert not (await page(one, "/gatewayz"))["inbound_gateways"]


async def test_the_own_name_among_the_remotes_is_left_alone(tmp_path: Path, authority: Authority) -> None:
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    everywhere = {"Tokyo": [one], "London": [two]}
    first = broker(tmp_path, authority, one, **gateways(one, "Tokyo", **everywhere))
    second = broker(tmp_path, authority, two, **gateways(two, "London", **everywhere))
    async with first, second:
        await joined(one, "London")
        await joined(two, "Tokyo")


def test_streams_with_a_gateway_and_without_peers_are_refused_with_a_remedy(
    tmp_path: Path, authority: Authority
) -> None:
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    settings = gateways(one, "Tokyo", London=[two]) | {"network__stream__store": tmp_path / "store"}
    with pytest.raises(ConfigurationError) as caught:
        broker(tmp_path, authority, one, **settings)
    (finding,) = [each for each in caught.value.findings if each.severity is Severity.REFUSE]
    assert finding.code == "gateway-streams-without-peers"
    assert "plugin.choria.network.peers" in finding.remedy
    assert "plugin.choria.network.stream.store" in finding.remedy


async def test_streams_with_a_gateway_and_peers_start(tmp_path: Path, authority: Authority) -> None:
    one, other, far = Node("b1.tokyo.example"), Node("b2.tokyo.example"), Node("b1.london.example")
    brokers = [
        broker(
            tmp_path,
            authority,
            node,
            **gateways(node, "Tokyo", London=[far]),
            **peers(one, other),
            network__stream__store=tmp_path / f"store-{node.identity}",
        )
        for node in (one, other)
    ]
    brokers.append(broker(tmp_path, authority, far, **gateways(far, "London", Tokyo=[one, other])))
    async with running(brokers):
        await formed(one, other)
        await joined(one, "London")


PREFIX = "network__gateway_remote__Paris__"


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({}, "remote-without-url"),
        ({"urls": "paris.example"}, "bad-url"),
        ({"urls": "http://paris.example:7001"}, "bad-url"),
        ({"urls": "paris.example:7001", "tls__ca": "/nonexistent/ca.pem"}, "remote-file-missing"),
        ({"urls": "paris.example:7001", "tls__cert": "/nonexistent/cert.pem"}, "remote-half-identity"),
    ],
)
async def test_one_bad_remote_is_left_out_and_the_other_joins(
    tmp_path: Path, authority: Authority, bad: dict[str, str], code: str
) -> None:
    one, two = Node("b1.tokyo.example"), Node("b1.london.example")
    settings = gateways(one, "Tokyo", London=[two])
    settings["network__gateway_remotes"] = "Paris, London"
    settings |= {PREFIX + key: value for key, value in bad.items()}
    loaded = load(configure(tmp_path, authority, one, **settings))
    assert loaded.settings is not None
    (finding,) = [each for each in loaded.findings if each.severity is Severity.SKIP]
    assert finding.code == code
    assert finding.key.startswith("plugin.choria.network.gateway_remote.Paris.")
    assert "gateway remote Paris is not used" in finding.effect
    first = NetworkBroker(loaded.settings, findings=loaded.findings)
    second = broker(tmp_path, authority, two, **gateways(two, "London", Tokyo=[one]))
    async with first, second:
        await joined(one, "London")
        assert first.registry.get_sample_value("choria_broker_config_errors", {"identity": one.identity}) == 1
