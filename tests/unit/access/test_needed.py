"""What would have allowed a subject."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.access import permissions
from choria_broker.access.needed import needed
from choria_broker.access.rules import RULES
from choria_broker.access.verdict import Permissions, SubjectRules
from choria_broker.security.token_permissions import ClientPermission
from choria_broker.security.tokens_claims import ClientClaims

HOSTS = "an address in plugin.choria.network.client_hosts"
CLIENT, SERVER, OUTSIDE = "client-token", "server-token", "client-token-outside-client-hosts"


@pytest.mark.parametrize(
    ("rule", "subject", "publish", "wanted"),
    [
        (CLIENT, "mcollective.node.web1", True, "fleet_management"),
        (CLIENT, "choria.lifecycle.event.>", False, "events_viewer"),
        (CLIENT, "$KV.CHORIA_LEADER_ELECTION.x", True, "election_user"),
        (CLIENT, "$JS.API.INFO", True, "streams_user"),
        (CLIENT, "$JS.API.STREAM.CREATE.X", True, "streams_admin"),
        (CLIENT, "x.governor.y", True, "governor with streams_user"),
        (CLIENT, "a.b", True, "org_admin, or the subject in pub_subjects of its token"),
        (CLIENT, "a.b", False, "org_admin, or the subject in sub_subjects of its token"),
        (OUTSIDE, "mcollective.node.web1", True, f"fleet_management, and {HOSTS}"),
        (OUTSIDE, "$JS.API.INFO", True, "streams_user"),
        (SERVER, "mcollective.submission.in.x", True, "submission"),
        (SERVER, "mcollective.broadcast.service.x", False, "service_host"),
        (SERVER, "other.broadcast.agent.x", False, "collective other"),
        (SERVER, "$JS.API.STREAM.INFO.X", True, "streams"),
        (SERVER, "choria.streams.STREAM.INFO.X", True, "the subject in pub_subjects of its token"),
        (SERVER, "mcollective.governor.x", True, "governor with streams"),
        (SERVER, "mcollective.node.web2", False, ""),
        ("server-denied", "a", True, "a broker without plugin.choria.network.deny_server_connections"),
        ("mtls-outside-client-hosts", "mcollective.node.web1", True, HOSTS),
        ("mtls-pubsub-only", "mcollective.node.web1", True, "a token"),
        ("provisionee", "a", True, "to be provisioned first"),
        ("mtls", "a", True, ""),
        ("", "a", True, ""),
    ],
)
def test_what_is_needed(rule: str, subject: str, publish: bool, wanted: str) -> None:
    assert needed(rule, "web1" if rule == SERVER else "up=bob", subject, publish=publish) == wanted


def test_who_has_the_permission_needs_only_an_address() -> None:
    granted = Permissions(SubjectRules(allow=permissions.FLEET_REQUESTS))
    assert needed(OUTSIDE, "up=bob", "mcollective.node.web1", publish=True, granted=granted) == HOSTS


def allowed(held: ClientPermission) -> set[tuple[str, bool]]:
    """Subjects that a client with one permission may use, and whether it is to publish."""
    claims = ClientClaims.read({"callerid": "up=bob", "permissions": {held.value: True}})
    found = permissions.worked_out_client(claims, inside_client_hosts=True)
    return {(subject, True) for subject in found.publish.allow or ()} | {
        (subject, False) for subject in found.subscribe.allow or ()
    }


@pytest.mark.parametrize("held", [each for each in ClientPermission if each is not ClientPermission.ORG_ADMIN])
def test_each_permission_that_opens_a_subject_is_named_before_all_of_them(held: ClientPermission) -> None:
    for subject, publish in allowed(held):
        assert not needed(CLIENT, "up=bob", subject, publish=publish).startswith(ClientPermission.ORG_ADMIN)


@given(st.sampled_from(sorted(RULES)), st.text(max_size=20), st.text(min_size=1, max_size=40), st.booleans())
def test_whatever_is_asked_there_is_an_answer(rule: str, who: str, subject: str, publish: bool) -> None:
    assert isinstance(needed(rule, who, subject, publish=publish), str)
