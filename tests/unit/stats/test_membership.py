"""Whether the cluster is whole, and which entry in the list of peers is this broker."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.settings.endpoint import Endpoint
from choria_broker.settings.links import Cluster
from choria_broker.stats.membership import Learnt, Member, Membership, membership, unknown
from choria_broker.stats.readings import Route
from choria_broker.values import replace

PORT = 5222


def entries(*hosts: str, port: int = PORT) -> tuple[Endpoint, ...]:
    return tuple(Endpoint("nats", host, port) for host in hosts)


def cluster(*hosts: str, itself: str = "") -> Cluster:
    """A cluster of which no entry is known to be this broker, but the one that is given."""
    return Cluster(peers=entries(*hosts, *([itself] if itself else [])), routes=entries(*hosts), port=PORT)


def routes(*names: str) -> tuple[Route, ...]:
    return tuple(Route(name, "192.0.2.9", 40000) for name in names)


def counts(found: Membership) -> tuple[int, int]:
    """How many there should be and are; what is told of each of them is in accord with that."""
    there = sorted(each.name for each in found.members if each.connected)
    assert there == sorted(found.connected)
    assert sum(each.connected is False for each in found.members) <= len(found.expected) - len(there)
    return len(found.expected), len(found.connected)


@pytest.mark.parametrize(
    ("peers", "itself", "connected", "expected"),
    [
        (("b",), "a", ("b",), (1, 1)),
        (("b",), "a", (), (1, 0)),
        (("b", "c"), "a", ("b",), (2, 1)),
        (("x", "b"), "", ("b",), (1, 1)),
        (("x", "b"), "", (), (1, 0)),
        (("x", "b", "c"), "", ("b", "c"), (2, 2)),
        (("x", "b", "c"), "", ("c",), (2, 1)),
        (("x", "b", "c"), "", ("one", "two"), (2, 2)),
        (("b",), "", ("b",), (1, 1)),
        (("b",), "", (), (0, 0)),
        (("b",), "", ("one", "two"), (2, 2)),
        ((), "", (), (0, 0)),
        ((), "", ("one",), (1, 1)),
        (("b",), "a", ("b", "c", "d"), (3, 3)),
    ],
)
def test_how_many_there_should_be(
    peers: tuple[str, ...], itself: str, connected: tuple[str, ...], expected: tuple[int, int]
) -> None:
    of, stand = cluster(*peers, itself=itself), routes(*connected)
    assert counts(membership(of, stand, Learnt().seen(of, stand))) == expected


def test_a_member_that_was_there_is_never_taken_for_this_broker() -> None:
    of = cluster("b", "c")
    learnt = Learnt().seen(of, routes("b", "c")).seen(of, routes("b"))
    assert counts(membership(of, routes("b"), learnt)) == (2, 1)
    learnt = Learnt().seen(of, routes("c")).seen(of, ()).seen(of, routes("b"))
    assert counts(membership(of, routes("b"), learnt)) == (2, 1)


def test_an_entry_whose_port_is_translated_is_this_broker_all_the_same() -> None:
    places = (*entries("x", port=5522), *entries("b"))
    of = Cluster(peers=places, routes=places, port=PORT)
    assert counts(membership(of, routes("b"), Learnt().seen(of, routes("b")))) == (1, 1)
    # Without a member that is known, the entry with this broker's port is likelier; the number is the same.
    assert membership(of, (), Learnt()).expected == ("x:5522",)


def test_another_port_of_this_host_is_another_broker() -> None:
    places = (*entries("b"), *entries("c", port=5223))
    of = Cluster(peers=places, routes=places, port=PORT, neighbours=places[1:])
    assert counts(membership(of, routes("b"), Learnt().seen(of, routes("b")))) == (2, 1)
    of = replace(of, neighbours=places)
    assert counts(membership(of, (), Learnt())) == (2, 0)


@pytest.mark.parametrize(
    ("listed", "left_out", "itself_left_out", "connected", "expected"),
    [
        (("a",), ("b",), False, (), ("b (unusable entry)",)),
        (("a",), ("b",), False, ("b",), ("b (unusable entry)",)),
        (("a", "b"), ("", "c"), False, ("b",), ("b:5222", "unusable entry", "c (unusable entry)")),
        (("b",), (), True, ("b",), ("b:5222",)),
        (("b",), (), True, (), ("b:5222",)),
        (("a", "b"), ("c",), False, ("b", "c", "d"), ("b:5222", "c (unusable entry)", "c")),
    ],
)
def test_members_that_were_left_out_are_expected_all_the_same(
    listed: tuple[str, ...],
    left_out: tuple[str, ...],
    connected: tuple[str, ...],
    expected: tuple[str, ...],
    *,
    itself_left_out: bool,
) -> None:
    places = entries(*listed)
    others = tuple(place for place in places if place.host != "a")
    of = Cluster(peers=places, routes=others, port=PORT, left_out=left_out, itself_left_out=itself_left_out)
    stand = routes(*connected)
    assert membership(of, stand, Learnt().seen(of, stand)).expected == expected


def test_a_bad_entry_may_be_this_broker() -> None:
    of = Cluster(peers=entries("b"), routes=entries("b"), port=PORT, left_out=("x",))
    assert membership(of, routes("b"), Learnt().seen(of, routes("b"))) == Membership(
        ("b:5222",), ("b",), (Member("b", "b:5222", connected=True),)
    )
    assert counts(membership(of, (), Learnt())) == (1, 0)


def test_one_connection_made_tells_who_is_where() -> None:
    of = cluster("192.0.2.1", "192.0.2.2")
    made = (Route("anything", "192.0.2.2", PORT, solicited=True),)
    assert Learnt().seen(of, made).others == frozenset(entries("192.0.2.2"))
    came = (Route("anything", "192.0.2.2", PORT),)
    assert Learnt().seen(of, came).others == frozenset()


def test_this_broker_is_learnt_where_it_answers_itself() -> None:
    of, stand = cluster("x", "b", "c"), routes("one")
    (x, b, c), learnt = of.routes, Learnt()
    assert unknown(of, stand, learnt) == (x, b, c)
    learnt = learnt.met(b, itself=False, name="B")
    assert unknown(of, stand, learnt) == (x, c)
    learnt = learnt.met(x, itself=True)
    assert unknown(of, stand, learnt) == (c,)
    assert unknown(of, stand, learnt.met(c, itself=False, name="c")) == ()
    assert membership(of, stand, learnt) == Membership(
        (b.authority, c.authority),
        ("one",),
        (Member("b", b.authority, connected=False), Member("one", c.authority, connected=True)),
    )
    assert counts(membership(of, routes("one", "two"), learnt)) == (2, 2)


def test_where_another_answers_is_no_doubt_left() -> None:
    of = cluster("b", "c")
    learnt = Learnt().met(of.routes[0], itself=False).met(of.routes[1], itself=False)
    assert counts(membership(of, routes("one"), learnt)) == (2, 1)


def test_nobody_is_asked_when_all_is_known() -> None:
    assert unknown(cluster("b", itself="a"), routes("b"), Learnt()) == ()
    assert unknown(cluster("b", "c"), routes("b", "c"), Learnt()) == ()


@dataclasses.dataclass(frozen=True)
class World:
    """A cluster as it is, and as one member has it in its list.

    Attributes:
        itself: how the list has this broker: known, under a name or port that others translate, spoilt, or not.
        others: the other members: whether the list has each by a name that is not its identity, and spoilt.
        order: of the list.
    """

    itself: str
    others: tuple[tuple[bool, bool], ...]
    order: tuple[int, ...]

    def cluster(self) -> Cluster:
        own = {"name": ("x", PORT), "port": ("x", PORT + 300)}.get(self.itself)
        listed = [*([own] if own else []), *((self.host(n), PORT) for n, (_, bad) in self.each() if not bad)]
        places = [Endpoint("nats", *place) for place in listed]
        places = [places[at % len(places)] for at in self.order[: len(places)]] if places else []
        unique = tuple(dict.fromkeys([*places, *(Endpoint("nats", *place) for place in listed)]))
        known = entries("a") if self.itself == "known" else ()
        left_out = tuple(self.host(n) if n % 2 else "" for n, (_, bad) in self.each() if bad)
        return Cluster(
            peers=(*known, *unique),
            routes=unique,
            port=PORT,
            left_out=left_out,
            itself_left_out=self.itself == "spoilt",
        )

    def each(self) -> Iterator[tuple[int, tuple[bool, bool]]]:
        return enumerate(self.others)

    def host(self, number: int) -> str:
        return f"alias{number}" if self.others[number][0] else f"m{number}"


WORLDS = st.builds(
    World,
    st.sampled_from(["known", "name", "port", "spoilt"]),
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=5).map(tuple),
    st.lists(st.integers(0, 9), max_size=6).map(tuple),
)


@given(world=WORLDS, history=st.lists(st.sets(st.integers(0, 4)), max_size=6), meets_itself=st.booleans())
def test_a_member_that_lists_all_misses_just_those_that_are_missing(
    world: World, history: list[set[int]], *, meets_itself: bool
) -> None:
    of, learnt = world.cluster(), Learnt()
    for present in history:
        names = [f"m{number}" for number in sorted(present) if number < len(world.others)]
        stand = routes(*names)
        learnt = learnt.seen(of, stand)
        found = membership(of, stand, learnt)
        assert counts(found) == (len(world.others), len(names))
        assert len(set(found.expected)) >= len(found.expected) - max(0, len(of.left_out) - 1)
        if meets_itself and world.itself in ("name", "port"):
            own = next(entry for entry in of.routes if entry.host == "x")
            if own in unknown(of, stand, learnt):
                learnt = learnt.met(own, itself=True)
                assert counts(membership(of, stand, learnt)) == (len(world.others), len(names))


@given(
    listed=st.lists(st.sampled_from("bcdefg"), unique=True),
    left_out=st.lists(st.sampled_from(["", "y", "z"]), max_size=3).map(tuple),
    history=st.lists(st.sets(st.sampled_from("bcdefghi")), min_size=1, max_size=6),
    known=st.booleans(),
    spoilt=st.booleans(),
)
def test_numbers_are_never_absurd(
    listed: list[str], left_out: tuple[str, ...], history: list[set[str]], *, known: bool, spoilt: bool
) -> None:
    places = entries(*listed)
    own = entries("a") if known else ()
    of = Cluster(
        peers=(*own, *places), routes=places, port=PORT, left_out=left_out, itself_left_out=spoilt and not known
    )
    learnt = Learnt()
    for present in history:
        stand = routes(*present)
        learnt = learnt.seen(of, stand)
        wanted, connected = counts(membership(of, stand, learnt))
        assert connected == len(present)
        assert connected <= wanted <= max(len(places) + len(left_out), connected)
        if of.knows_itself:
            assert wanted == max(len(places) + len(left_out), connected)


@dataclasses.dataclass(frozen=True)
class Listed:
    """A list of peers with repeats.

    Attributes:
        own: how each entry of this broker is in the list: known at the start, answering, or with a host nobody knows.
        others: for each other member how many entries it has.
        dead: entries at which nobody ever is.
    """

    own: tuple[str, ...]
    others: tuple[int, ...]
    dead: int

    def entries(self) -> list[tuple[str, Endpoint]]:
        """Return each entry with who is at it: ``own-...``, a name, or nobody."""
        port = PORT + 1000 * ("lost" in self.own)
        own = [(f"own-{kind}", Endpoint("nats", f"own{at}", PORT)) for at, kind in enumerate(self.own)]
        others = [
            (f"m{member}", Endpoint("nats", f"alias{at}-of-{member}", port))
            for member, count in enumerate(self.others)
            for at in range(count)
        ]
        dead = [("", Endpoint("nats", f"dead{at}", port)) for at in range(self.dead)]
        return own + others + dead


LISTED = st.builds(
    Listed,
    st.lists(st.sampled_from(["known", "answers", "lost"]), min_size=1, max_size=4).map(tuple),
    st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    st.integers(0, 3),
)


def asked(of: Cluster, present: list[str], learnt: Learnt, at: dict[Endpoint, str]) -> Learnt:
    """Learn from one poll, and from asking after it."""
    stand = routes(*present)
    learnt = learnt.seen(of, stand)
    for entry in unknown(of, stand, learnt):
        who = at[entry]
        if who == "own-answers" or who in present:
            learnt = learnt.met(entry, itself=who == "own-answers", name=who)
        else:
            learnt = learnt.missed(entry, nowhere=who == "own-lost")
    return learnt


@given(
    listed=LISTED, history=st.lists(st.sets(st.integers(0, 3)), max_size=4), random=st.randoms(use_true_random=False)
)
def test_members_count_and_not_entries_whatever_the_order(
    listed: Listed, history: list[set[int]], random: Random
) -> None:
    placed = listed.entries()
    random.shuffle(placed)
    at = {entry: who for who, entry in placed}
    of = Cluster(
        peers=tuple(at), routes=tuple(entry for entry, who in at.items() if who != "own-known"), port=PORT, tls=False
    )
    everybody = [f"m{member}" for member in range(len(listed.others))]
    learnt = asked(of, everybody, Learnt(), at)
    wanted = len(listed.others) + listed.dead
    assert counts(membership(of, routes(*everybody), learnt)) == (wanted, len(everybody))
    for numbers in history:
        present = [name for number, name in enumerate(everybody) if number in numbers]
        learnt = asked(of, present, learnt, at)
        assert counts(membership(of, routes(*present), learnt)) == (wanted, len(present))


def test_a_host_that_nobody_knows_is_a_missing_member_where_its_port_tells_nothing() -> None:
    of = cluster("gone", "b", itself="a")
    learnt = Learnt().seen(of, routes("b")).missed(of.routes[0], nowhere=True)
    assert counts(membership(of, routes("b"), learnt)) == (2, 1)
    alone = cluster("gone", itself="a")
    assert counts(membership(alone, (), Learnt().missed(alone.routes[0], nowhere=True))) == (1, 0)


def test_two_ports_of_one_host_are_asked_which_members_they_are() -> None:
    places = (*entries("b"), *entries("b", port=5223))
    of, stand = Cluster(peers=(*entries("a"), *places), routes=places, port=PORT), routes("b")
    learnt = Learnt().seen(of, stand)
    assert counts(membership(of, stand, learnt)) == (2, 1)
    assert unknown(of, stand, learnt) == places
    for name, wanted in (("b", 1), ("other", 2)):
        there = learnt.met(places[0], itself=False, name="b").met(places[1], itself=False, name=name)
        assert len(membership(of, stand, there).expected) == wanted


def test_a_member_that_moved_leaves_its_earlier_place_in_doubt() -> None:
    of = cluster("192.0.2.2", "192.0.2.3", itself="a")
    first, second = of.routes
    learnt = Learnt().met(first, itself=False, name="b").met(second, itself=False, name="c")
    moved = (Route("b", "192.0.2.3", PORT, solicited=True),)
    learnt = learnt.seen(of, moved)
    assert counts(membership(of, moved, learnt)) == (2, 1)
    assert unknown(of, moved, learnt) == (first,)


@pytest.mark.parametrize(
    ("hosts", "known", "connected", "expected"),
    [
        ("bc", "", "bc", ["b at b:5222 True", "c at c:5222 True"]),
        ("bc", "", "b", ["b at b:5222 True", " at c:5222 False"]),
        ("bc", "bc", "b", ["b at b:5222 True", "c at c:5222 False"]),
        ("bc", "", "", [" at b:5222 False", " at c:5222 False"]),
        ("bc", "", "x", [" at b:5222 None", " at c:5222 None", "x at  True"]),
        ("bc", "b", "x", ["b at b:5222 False", "x at c:5222 True"]),
        ("b", "", "x", ["x at b:5222 True"]),
        ("bc", "", "xy", ["x at  True", "y at  True"]),
        ("b", "", "bx", ["b at b:5222 True", "x at  True"]),
        ("b", "b", "x", ["b at b:5222 None", "x at  True"]),
    ],
)
def test_who_is_missing(hosts: str, known: str, connected: str, expected: list[str]) -> None:
    of, learnt = cluster(*hosts, itself="a"), Learnt()
    for entry in of.routes:
        learnt = learnt.met(entry, itself=False, name=entry.host) if entry.host in known else learnt
    found = membership(of, routes(*connected), learnt.seen(of, routes(*connected)))
    counts(found)
    assert [f"{each.name} at {each.place} {each.connected}" for each in found.members] == expected
