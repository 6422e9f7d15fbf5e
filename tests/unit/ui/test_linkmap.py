"""Brokers on the map of links."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from choria_broker.stats.links import Link, LinkKind
from choria_broker.ui.linkmap import BOX_HEIGHT, BOX_WIDTH, WIDTH, link_map
from support.scene_status import links


def test_this_broker_stands_in_the_middle_and_lines_lead_to_all_others() -> None:
    found = link_map("b1", links())
    here, *others = found.boxes
    assert (here.name, here.state, here.line) == ("b1", "here", "")
    assert [each.text for each in found.headings] == ["Other clusters", "Cluster", "Leafnodes"]
    assert len(others) == len(links())
    assert all(each.line for each in others)


def test_what_does_not_stand_comes_first_and_says_why() -> None:
    found = link_map("b1", links())
    sydney, london = (each for each in found.boxes if each.x == found.boxes[3].x and each.state != "here")
    assert (sydney.name, sydney.state, sydney.words) == ("SYDNEY", "down", "not connected: timeout")
    assert (london.state, london.words) == ("up", "11.8 ms · 2.14.1")


def test_of_very_many_the_rest_is_counted() -> None:
    found = link_map("b1", [Link(LinkKind.LEAFNODE, f"leaf{number}", connected=True) for number in range(1000)])
    assert len(found.boxes) == 26
    assert found.boxes[-1].name == "and 976 more"


_links = st.lists(
    st.builds(
        Link,
        st.sampled_from(LinkKind),
        st.text(max_size=60),
        connected=st.sampled_from((True, False, None)),
        version=st.text(max_size=8),
    ),
    max_size=70,
)


@given(found=_links)
def test_no_two_boxes_touch_and_all_are_on_the_map(found: list[Link]) -> None:
    drawn = link_map("b1", found)
    for one, other in itertools.combinations(drawn.boxes, 2):
        assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT
    for each in drawn.boxes:
        assert 0 <= each.x <= WIDTH - BOX_WIDTH
        assert 0 <= each.y <= drawn.height - BOX_HEIGHT
        assert each.name.isprintable()
