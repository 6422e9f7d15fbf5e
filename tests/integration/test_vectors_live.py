"""The reference vectors on the wire: each is a real connection to a real engine, its permissions tried, not read.

Addresses of the vectors are moved into 127.0.0.0/8, nonces are the engine's own and signed anew. Vectors with the same
broker settings share one engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from choria_broker.access.decision import decide
from choria_broker.broker import NetworkBroker
from choria_broker.config.surroundings.facts import Overrides
from support.nats_socket import ClosedError, Wire, signature, wire
from support.settled import recent
from support.testbed import Authority, bridge, configuration, engine_pages
from support.vector_cases import BY_NAME, NOW

VECTORS = Path(__file__).parents[1] / "vectors"
KEYS = json.loads((VECTORS / "keys.json").read_text())["keys"]
SEED_OF = {pair["public_hex"]: pair["seed_hex"] for pair in KEYS.values()}
DEADLINE = 60.0

NOT_ASKED = {
    "client-36-plain-on-tls-broker": "a clear text CONNECT on a TLS port breaks the handshake; the policy is not asked",
}
"""Vectors whose connection ends before the policy is asked, and why; a connection can produce all others."""

PROBES = (
    "probe",
    "probe.one.two",
    "choria.node.n1.example.net",
    "choria.reply.d41d8cd98f00b204e9800998ecf8427e.1",
    "choria.broadcast.agent.discovery",
    "choria.broadcast.agent.registration",
    "choria.broadcast.service.x.y",
    "choria.federation.c.federation",
    "choria.federation.c.collective",
    "choria.lifecycle.event.startup.x",
    "choria.machine.transition",
    "choria.submission.in.x",
    "choria.governor.g",
    "provisioning.node.other",
    "provisioning.registration.x",
    "$JS.API.STREAM.CREATE.X",
    "$JS.API.STREAM.PURGE.X",
    "$KV.BUCKET.key",
    "$O.BUCKET.x",
)
"""Subjects tried on every connection, inside its permissions or outside as the vector says."""


@dataclasses.dataclass(frozen=True)
class Vector:
    """One vector.

    Attributes:
        name: its id.
        broker, connection, expect: as in the file.
    """

    name: str
    broker: dict[str, Any]
    connection: dict[str, Any]
    expect: dict[str, Any]

    @property
    def settings(self) -> str:
        """The broker's settings in a form that is equal for equal ones."""
        return json.dumps(self.broker, sort_keys=True)

    @property
    def claims(self) -> dict[str, Any]:
        """What its token says, without whether it is true."""
        return json.loads((VECTORS / f"{self.name}.json").read_text()).get("token", {}).get("claims", {})  # type: ignore[no-any-return] # JSON

    def proof(self, nonce: str) -> str:
        """Answer the engine's challenge in the way the vector answers its own."""
        if not self.connection["connect"].get("sig"):
            return ""
        if self.name == "client-12-bad-nonce-signature":
            return signature(KEYS["attacker"]["seed_hex"], nonce.encode())
        seed = SEED_OF.get(self.claims.get("public_key", ""), KEYS["client"]["seed_hex"])
        text = f"not {nonce}" if self.name == "client-14-nonce-other-bytes" else nonce
        return signature(seed, text.encode())


def _load(path: Path) -> Vector:
    raw = json.loads(path.read_text())
    return Vector(raw["id"], raw["broker"], raw["connection"], raw["expect"])


ALL = tuple(map(_load, sorted(VECTORS.glob("*-[0-9][0-9]-*.json"))))
PROVISIONER = next(vector for vector in ALL if vector.name == "prov-10-provisioner-issuer")


def loopback(text: str) -> str:
    """Move an address or network of the vectors into 127.0.0.0/8; what was apart stays apart."""
    for documented, ours in (("192.0.2.", "127.0.2."), ("10.0.0.", "127.10.0.")):
        if text.startswith(documented):
            return ours + text.removeprefix(documented)
    raise ValueError(f"no place on loopback for {text}")


def entries(texts: Iterable[str]) -> str:
    """Write a list of signers."""
    return ", ".join(str(VECTORS / text.removeprefix("file:")) if text.startswith("file:") else text for text in texts)


def settings_of(broker: dict[str, Any]) -> dict[str, str | bool]:
    """Write the broker's settings of a vector as lines of a configuration."""
    values: dict[str, str | bool] = {}
    if issuers := broker.get("issuers"):
        values["plugin__security__issuer__names"] = ", ".join(issuers)
        values |= {f"plugin__security__issuer__{name}__public": key for name, key in issuers.items()}
    for name in ("client_signer_cert", "server_signer_cert"):
        if name in broker:
            values[f"network__{name}"] = entries(broker[name])
    if "client_hosts" in broker:
        values["network__client_hosts"] = ", ".join(map(loopback, broker["client_hosts"]))
    if "provisioning_signer_cert" in broker:
        values["network__provisioning__signer_cert"] = entries([broker["provisioning_signer_cert"]])
    for name, key in {
        "deny_server_connections": "network__deny_server_connections",
        "provisioning_client_password": "network__provisioning__client_password",
        "provisioner_without_token": "network__provisioning__provisioner_without_token",
        "system_user": "network__system__user",
        "system_password": "network__system__password",
    }.items():
        if name in broker:
            values[key] = broker[name]
    return values


@dataclasses.dataclass(frozen=True)
class Live:
    """A running broker with the settings of some vectors.

    Attributes:
        broker: the broker.
        contexts: client side of TLS by the state of TLS it leads to, None for clear text.
    """

    broker: NetworkBroker
    contexts: dict[str, ssl.SSLContext | None]

    async def connected(self, peer: Wire) -> dict[str, Any]:
        """Ask the engine where a connection is and under which name."""
        async with (
            engine_pages(self.broker) as session,
            session.get("/connz", params={"auth": "1", "cid": str(peer.info["client_id"])}) as answer,
        ):
            (found,) = (await answer.json())["connections"]
            return dict(found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """A broker with the settings that the test asks for, shared with the other tests that do."""
    broker_settings = json.loads(request.param)
    folder = tmp_path_factory.mktemp("vectors")
    authority = Authority(folder)
    values = settings_of(broker_settings)
    if broker_settings.get("choria_ca"):
        values["plugin__security__choria__ca"] = str(authority.ca)
    config = configuration(folder, authority, **values)
    broker = NetworkBroker.from_file(config, Overrides(disable_tls=not broker_settings["tls"]))
    broker.http_app()  # Turns the engine's pages on.
    contexts = {
        "plain": None,
        "inprocess": None,
        "anonymous": authority.context(),
        "mtls": authority.context(authority.issue("peer.example.net")),
    }
    # Fixtures begin and end in different tasks, and a broker must not.
    running = asyncio.get_running_loop().create_task(broker.run())
    await broker.wait_ready(DEADLINE)
    yield Live(broker, contexts)
    broker.stop()
    await running


def cases(vectors: Iterable[Vector]) -> pytest.MarkDecorator:
    """Run a test for each vector, those with equal settings one after the other on one engine."""
    ordered = sorted(vectors, key=lambda vector: (vector.settings, vector.name))
    return pytest.mark.parametrize(
        ("live", "vector"),
        [pytest.param(vector.settings, vector, id=vector.name) for vector in ordered],
        indirect=["live"],
    )


ACCEPTED = tuple(vector for vector in ALL if vector.expect["allowed"])
REFUSED = tuple(vector for vector in ALL if not vector.expect["allowed"])


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a vector says about one direction.

    Attributes:
        allow: None allows everything.
        deny: denied in any case.
    """

    allow: tuple[str, ...] | None
    deny: tuple[str, ...]

    @classmethod
    def of(cls, permissions: dict[str, Any] | None, direction: str) -> Limits:
        """Read one direction of the permissions a vector expects."""
        rules = (permissions or {}).get(direction) or {}
        return cls(tuple(rules.get("allow") or ()) or None, tuple(rules.get("deny") or ()))

    @property
    def everything(self) -> bool:
        """There is nothing outside."""
        return (self.allow is None or ">" in self.allow) and not self.deny

    def permit(self, subject: str) -> bool:
        """Whether a subject without wildcards may be used."""
        allowed = self.allow is None or any(inside(pattern, subject) for pattern in self.allow)
        return allowed and not any(inside(pattern, subject) for pattern in self.deny)

    def samples(self) -> tuple[str, ...]:
        """Name one subject inside every entry, and those tried on every connection."""
        named = (sample(pattern) for pattern in (*(self.allow or ()), *self.deny))
        return tuple(dict.fromkeys((*named, *PROBES)))


def inside(pattern: str, subject: str) -> bool:
    """Whether a pattern takes in a subject, by the definition of wildcards."""
    expression = re.escape(pattern).replace(r"\*", "[^.]+").replace(">", ".+")
    return re.fullmatch(expression, subject) is not None


def sample(pattern: str) -> str:
    """Name a subject inside a pattern."""
    return pattern.replace("*", "sample").replace(">", "sample.sample")


@contextlib.asynccontextmanager
async def witness_in(live: Live, account: str) -> AsyncIterator[Wire]:
    """Connect to an account without limits and subscribe to everything there."""
    async with contextlib.AsyncExitStack() as stack:
        if account == "choria":
            witness = await stack.enter_async_context(wire(bridge(live.broker)))
            await witness.connect(auth_token=live.broker._engine.bridge_secret)
        else:
            witness = await stack.enter_async_context(wire(live.broker.ports.client, live.contexts["mtls"]))
            await witness.connect(**login(live, account, witness.nonce))
        assert not await witness.subscribe([">"])
        yield witness


def login(live: Live, account: str, nonce: str) -> dict[str, str]:
    """Fields of CONNECT that, together with a certificate, open the other accounts."""
    if account == "system":
        user = live.broker.settings.network.system_user
        assert user is not None
        return {"user": user.user, "pass": user.password.reveal()}
    return {**PROVISIONER.connection["connect"], "sig": PROVISIONER.proof(nonce)}


async def observe_publishing(peer: Wire, witness: Wire, limits: Limits) -> frozenset[str]:
    """Publish inside and outside of the limits, and return what arrived, which must be what is inside."""
    subjects = limits.samples()
    permitted = frozenset(filter(limits.permit, subjects))
    assert await peer.publish(subjects, "published") == frozenset(subjects) - permitted
    await witness.flush()
    assert witness.received("published") == permitted
    assert limits.everything or permitted < frozenset(subjects)
    return permitted


async def observe_subscribing(peer: Wire, witness: Wire, limits: Limits) -> None:
    """Subscribe inside and outside of the limits, and have the witness send to all of it."""
    subjects = limits.samples()
    permitted = frozenset(filter(limits.permit, subjects))
    assert await peer.subscribe(subjects) == frozenset(subjects) - permitted
    assert not await witness.publish(subjects, "one by one")
    await peer.flush()
    assert peer.received("one by one") == permitted
    assert limits.everything or permitted < frozenset(subjects)

    wide = (limits.allow is None or ">" in limits.allow) and ">" not in limits.deny
    assert await peer.subscribe([">"]) == (frozenset() if wide else {">"})
    assert not await witness.publish(subjects, "all at once")
    await peer.flush()
    assert peer.received("all at once") == permitted


def open_wire(live: Live, vector: Vector) -> Any:
    """Open the connection of a vector as far as INFO."""
    if vector.connection["tls"] == "inprocess":
        return wire(bridge(live.broker))
    source = loopback(vector.connection["remote_ip"])
    return wire(live.broker.ports.client, live.contexts[vector.connection["tls"]], source=source)


async def log_in(live: Live, vector: Vector, peer: Wire) -> None:
    """Send the CONNECT of a vector, its nonce signature made for this connection."""
    fields = dict(vector.connection["connect"])
    if vector.connection["tls"] == "inprocess":
        fields["auth_token"] = live.broker._engine.bridge_secret
    if proof := vector.proof(peer.nonce):
        fields["sig"] = proof
    await peer.connect(**fields)


def test_all_vectors_are_there_and_exceptions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(ALL) == 88
    assert set(NOT_ASKED) <= {vector.name for vector in REFUSED}
    with capsys.disabled():
        for name, reason in NOT_ASKED.items():
            print(f"\n{name}: {reason}")  # noqa: T201 - the reasons belong in the output


@cases(REFUSED)
@pytest.mark.asyncio(loop_scope="module")
async def test_refused(live: Live, vector: Vector) -> None:
    decided = len(await recent(live.broker))
    async with open_wire(live, vector) as peer:
        with pytest.raises(ClosedError) as told:
            await log_in(live, vector, peer)
    if vector.name in NOT_ASKED:
        assert len(await recent(live.broker)) == decided
        return
    assert str(told.value) == "Authorization Violation"
    decision = (await recent(live.broker))[-1]
    assert len(await recent(live.broker)) == decided + 1
    assert (decision.allowed, decision.address) == (False, loopback(vector.connection["remote_ip"]))
    pure = BY_NAME[vector.name]
    assert decision.rule == decide(pure.request, pure.policy, NOW).rule


@cases(ACCEPTED)
@pytest.mark.asyncio(loop_scope="module")
async def test_accepted(live: Live, vector: Vector) -> None:
    account, username, limits = (vector.expect[key] for key in ("account", "username", "permissions"))
    async with (
        open_wire(live, vector) as peer,
        witness_in(live, account) as witness,
        witness_in(live, "choria") as bystander,
    ):
        await log_in(live, vector, peer)
        found = await live.connected(peer)
        sent_token = vector.connection["connect"].get("auth_token") or vector.connection["tls"] == "inprocess"
        unnamed = "token" if sent_token else ""  # The engine's word for a token, which it would show otherwise.
        assert (found["account"], found.get("authorized_user", "")) == (account, username or unnamed)
        if vector.connection["tls"] != "inprocess":
            assert found["ip"] == loopback(vector.connection["remote_ip"])
        published = await observe_publishing(peer, witness, Limits.of(limits, "publish"))
        await observe_subscribing(peer, witness, Limits.of(limits, "subscribe"))
        if account != "choria":
            await bystander.flush()
            shared = {subject for subject in published if inside("choria.lifecycle.>", subject)}
            assert bystander.received("published") == (shared if account == "provisioning" else frozenset())
            assert not bystander.received("one by one") - shared
