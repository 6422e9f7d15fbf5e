"""Permissions, grant by grant."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access import permissions
from choria_broker.access.subjects import is_subject, is_subscription
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.security.tokens_claims import ClientClaims, ServerClaims
from support.minting import client, server

MD5 = hashlib.md5(b"up=alice", usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(b"up=alice").hexdigest()
OWN_REPLIES = {f"*.reply.{MD5}.>", f"*.reply.{SHA256}.>"}
FLEET = {"*.broadcast.agent.>", "*.broadcast.service.>", "*.node.>", "choria.federation.*.federation"}


def of_client(*, inside: bool = True, **claims: Any) -> Permissions:
    return permissions.of_client(ClientClaims.read(client(**claims)), inside_client_hosts=inside)


def of_server(*, own_account: bool = False, **claims: Any) -> Permissions:
    return permissions.of_server(ServerClaims.read(server(**claims)), own_account=own_account)


def allowed(rules: SubjectRules) -> set[str]:
    assert rules.allow is not None
    return set(rules.allow)


@pytest.mark.parametrize(
    ("flags", "publish", "subscribe"),
    [
        ([], set(), set()),
        (["system_user", "provisioner", "service", "authentication_delegator"], set(), set()),
        (["streams_admin"], {"$JS.>"}, {"$JS.EVENT.>"}),
        (
            ["events_viewer"],
            set(),
            {"choria.lifecycle.event.>", "choria.machine.watcher.>", "choria.machine.transition"},
        ),
        (
            ["election_user"],
            {"$JS.API.STREAM.INFO.KV_CHORIA_LEADER_ELECTION", "$KV.CHORIA_LEADER_ELECTION.>"},
            set(),
        ),
        (["governor"], set(), set()),
        (
            ["governor", "streams_admin"],
            {"$JS.>", "*.governor.*", "choria.lifecycle.event.governor.>"},
            {"$JS.EVENT.>"},
        ),
        (["fleet_management"], FLEET, set()),
        (["signed_fleet_management"], FLEET, set()),
        (["fleet_management", "signed_fleet_management"], FLEET, set()),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_client_flags(flags: list[str], publish: set[str], subscribe: set[str]) -> None:
    granted = of_client(permissions=dict.fromkeys(flags, True))

    assert allowed(granted.publish) == {"$SYS.REQ.USER.INFO"} | publish
    assert allowed(granted.subscribe) == OWN_REPLIES | subscribe
    assert granted.publish.deny == granted.subscribe.deny == ()


def test_streams_user() -> None:
    granted = of_client(permissions={"streams_user": True}, ou="acme")

    assert {"$JS.API.INFO", "$KV.>", "$O.>", "$JS.ACK.>"} < allowed(granted.publish)
    assert len(allowed(granted.publish)) == 21
    assert allowed(granted.subscribe) == {*OWN_REPLIES, "acme.republish.>"}


def test_org_admin() -> None:
    granted = of_client(permissions={"org_admin": True, "fleet_management": True}, pub_subjects=["x"])

    assert granted == Permissions(SubjectRules(allow=(">",)), SubjectRules(allow=(">",)))


@pytest.mark.parametrize("flags", [{}, {"org_admin": True}, {"fleet_management": True}])
def test_outside_client_hosts(flags: dict[str, bool]) -> None:
    inside, outside = of_client(permissions=flags), of_client(permissions=flags, inside=False)

    assert set(outside.publish.deny) == FLEET
    assert outside.publish.allow == inside.publish.allow
    assert outside.subscribe == inside.subscribe


def test_additional_subjects_of_clients() -> None:
    granted = of_client(
        pub_subjects=["ok.>", "", ".x", "a..b", "a b", "a.>.b", "ok.>"],
        sub_subjects=["in", "in queue", "in q u", "in "],
    )

    assert allowed(granted.publish) == {"$SYS.REQ.USER.INFO", "ok.>"}
    assert granted.publish.allow is not None
    assert len(granted.publish.allow) == 2, "no entry twice"
    assert allowed(granted.subscribe) == {*OWN_REPLIES, "in", "in queue"}


def test_additional_subscriptions_stay_as_they_are() -> None:
    wanted = ["a.*", "a.*.b", "*", "*.*", "a.>", "b.* q", "b.> q.*"]
    claims = ClientClaims.read(client(sub_subjects=[*wanted, "a..b", "", "a. *"], pub_subjects=["ok", "no good"]))
    granted = permissions.of_client(claims, inside_client_hosts=True)

    assert allowed(granted.subscribe) == {*OWN_REPLIES, *wanted}
    assert granted.subscribe.deny == (), "a denied a.*.> would take away a.*.b, and replies in collective a"
    assert permissions.left_out(claims, granted) == ("no good", "a..b", "", "a. *")


def test_everything_leaves_nothing_out() -> None:
    claims = ClientClaims.read(client(sub_subjects=["a..b"], pub_subjects=[" "], permissions={"org_admin": True}))
    assert permissions.left_out(claims, permissions.of_client(claims, inside_client_hosts=False)) == ()


def test_server_base() -> None:
    granted = of_server(collectives=["c"], identity="n1")

    assert allowed(granted.publish) == {
        "choria.lifecycle.>",
        "choria.machine.transition",
        "choria.machine.watcher.>",
        "c.reply.>",
        "c.broadcast.agent.registration",
        "choria.federation.c.collective",
    }
    assert allowed(granted.subscribe) == {
        "c.broadcast.agent.>",
        "c.node.n1",
        f"c.reply.{hashlib.md5(b'n1', usedforsecurity=False).hexdigest()}.>",
        f"c.reply.{hashlib.sha256(b'n1').hexdigest()}.>",
    }


@pytest.mark.parametrize(
    ("flags", "publish", "subscribe"),
    [
        (["service_host"], set(), {"choria.broadcast.service.>"}),
        (["submission"], {"choria.submission.in.>"}, set()),
        (["governor"], set(), set()),
    ],
)
def test_server_flags(flags: list[str], publish: set[str], subscribe: set[str]) -> None:
    plain, granted = of_server(), of_server(permissions=dict.fromkeys(flags, True))

    assert allowed(granted.publish) - allowed(plain.publish) == publish
    assert allowed(granted.subscribe) - allowed(plain.subscribe) == subscribe


@pytest.mark.parametrize(
    ("organization", "own_account", "api"),
    [
        ("choria", False, "$JS.API"),
        ("choria", True, "$JS.API"),
        ("acme", False, "choria.streams"),
        ("acme", True, "$JS.API"),
        (None, False, "choria.streams"),
        ("Choria", False, "choria.streams"),
    ],
)
def test_jetstream_of_servers(organization: str | None, own_account: bool, api: str) -> None:
    granted = of_server(permissions={"streams": True, "governor": True}, ou=organization, own_account=own_account)

    assert f"{api}.CONSUMER.MSG.NEXT.*.*" in allowed(granted.publish)
    assert "choria.governor.*" in allowed(granted.publish)
    republished = {subject for subject in allowed(granted.subscribe) if "republish" in subject}
    assert republished == ({f"{organization}.republish.>"} if organization else set())


@pytest.mark.parametrize("collectives", [[], None])
def test_server_without_collectives(collectives: list[str] | None) -> None:
    assert of_server(collectives=collectives) == permissions.NOTHING


CLEAN = ["web1", "web1.example.net", "a-b_c", "10.0.0.1", "a:b", "$x", "bj\u00f6rn", "\u65e5\u672c", "x=y", "UPPER"]
UNCLEAN = [
    "",
    "*",
    ">",
    "web*",
    "*web",
    "web>",
    "a.*",
    "a.>",
    "*.a",
    ".",
    ".web1",
    "web1.",
    "a..b",
    "a b",
    " a",
    "a ",
    "a\tb",
    "a\n",
    "a\r",
    "a\x00",
    "a\x1b[31m",
    "a\x7f",
    "a\x85b",
    "a\u00a0b",
    "a\u2003b",
    "a\u2028b",
    "a\u200bb",
    "a\u202eb",
    "a\u3000b",
    "a\ufeff",
    "a\u00adb",
    "a\ue000",
    "a queue",
]


@pytest.mark.parametrize("name", CLEAN)
def test_clean_names_of_servers(name: str) -> None:
    assert permissions.unclean_name(ServerClaims.read(server(identity=name, collectives=[name, "x"]))) is None
    assert f"{name}.node.{name}" in allowed(of_server(identity=name, collectives=[name]).subscribe)


@pytest.mark.parametrize("name", UNCLEAN)
def test_unclean_names_of_servers(name: str) -> None:
    assert permissions.unclean_name(ServerClaims.read(server(collectives=["a", name]))) == "collectives"
    assert permissions.unclean_name(ServerClaims.read(server(identity=name or " "))) == "identity"


@pytest.mark.parametrize("name", UNCLEAN)
def test_an_unclean_organization_has_no_republished_messages(name: str) -> None:
    for granted in (of_client(ou=name, permissions={"streams_user": True}), of_server(ou=name)):
        assert not [subject for subject in allowed(granted.subscribe) if "republish" in subject]


def test_servers_cannot_name_queues() -> None:
    granted = of_server(collectives=["c"], identity="n1 queue")

    assert not any(" " in subject for subject in allowed(granted.subscribe))


@pytest.mark.parametrize(
    "fixed", [permissions.NOTHING, permissions.PUBSUB_ONLY, permissions.DEFAULT_SERVER, permissions.PROVISIONEE]
)
def test_fixed_lists_hold_subjects(fixed: Permissions) -> None:
    subjects = [s for side in (fixed.publish, fixed.subscribe) for s in (*(side.allow or ()), *side.deny)]

    assert subjects
    assert all(map(is_subject, subjects))


WILD = st.text(alphabet=st.sampled_from("ab.*> \t\n\x00\u00e9\u2028"), max_size=6)
LISTS = st.lists(WILD, max_size=3)
FLAGS = st.dictionaries(
    st.sampled_from(
        ["streams", "governor", "submission", "service_host", "streams_user", "streams_admin", "org_admin"]
    ),
    st.booleans(),
)


@given(WILD, WILD, LISTS, LISTS, LISTS, FLAGS)
def test_permissions_never_hold_an_invalid_subject(
    name: str,
    organization: str,
    collectives: list[str],
    publish: list[str],
    subscribe: list[str],
    flags: dict[str, bool],
) -> None:
    of_both: dict[str, Any] = {"ou": organization, "pub_subjects": publish, "permissions": flags}
    for granted in (
        of_client(callerid=name, sub_subjects=subscribe, **of_both),
        of_server(identity=name, collectives=collectives, **of_both),
    ):
        for side in (granted.publish, granted.subscribe):
            assert side.allow is not None or ">" in side.deny, "no list turned into everything"
            assert all(map(is_subject, side.deny))
        assert all(map(is_subject, granted.publish.allow or ()))
        assert all(map(is_subscription, granted.subscribe.allow or ()))
