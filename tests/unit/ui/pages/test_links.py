"""Links to other brokers, and in what members differ."""

from __future__ import annotations

from choria_broker.status.settings_now import Difference, MemberReport, Members
from choria_broker.ui.page import Asked
from choria_broker.ui.pages.links import Facts, LinksView, view
from support.dashboard import status_of
from support.scene_status import status

OWN = MemberReport("broker1.example.net", "0.9.0", "2.14.1", {"x": "1"})


def made(*members: MemberReport, limit: str = "") -> LinksView:
    return view(Facts(status=status(), about=OWN, members=Members(members, 1.0, limit)), Asked(0.0))


def test_links_that_do_not_stand_come_first() -> None:
    found = made()
    assert [each.link.name for each in found.rows[:2]] == ["SYDNEY", "headquarters"]
    assert [each.word for each in found.rows[:3]] == ["not connected", "not known yet", "connected"]
    assert found.sentence == "2 of 2 other members connected; 1 of 2 gateways connected; 2 of 3 leafnodes connected"


def test_a_member_with_another_nats_server_is_marked_although_it_tells_nothing_itself() -> None:
    found = made(limit="no system user is set")
    assert [each.link.name for each in found.rows if each.differs] == ["broker3.example.net"]
    assert found.differences == (Difference("nats-server", "2.14.1", {"broker3.example.net": "2.12.0"}),)


def test_what_members_tell_counts_and_of_others_what_links_tell() -> None:
    alike = MemberReport("broker3.example.net", "0.9.0", "2.12.0", {"x": "1"})
    other = MemberReport("broker2.example.net", "0.8.0", "2.14.1", {"x": "2"})
    assert made(alike, other).differences == (
        Difference("version", "0.9.0", {"broker2.example.net": "0.8.0"}),
        Difference("nats-server", "2.14.1", {"broker3.example.net": "2.12.0"}),
        Difference("x", "1", {"broker2.example.net": "2"}),
    )
    mixed = made(MemberReport("broker2.example.net", "0.9.0", "2.11.0", {"x": "1"}))
    assert mixed.differences == (
        Difference("nats-server", "2.14.1", {"broker2.example.net": "2.11.0", "broker3.example.net": "2.12.0"}),
    )


def test_a_broker_that_is_alone() -> None:
    found = view(Facts(status=status_of(), about=OWN, members=Members()), Asked(0.0))
    assert found.sentence == "This broker has no links to others"
    assert found.rows == ()
