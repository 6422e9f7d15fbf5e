"""Line grammar of configuration files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.config.text.syntax import BLANKS, Document, Drop, Dropped, Entry, parse
from choria_broker.settings.findings import Origin


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("a.b = c", "a.b", "c"),
        ("a.b=c", "a.b", "c"),
        ("  a.b   =   c  ", "a.b", "c"),
        ("\ta.b\t=\tc\t\r", "a.b", "c"),
        ("\u00a0a\u2003=\u3000c\u0085", "a", "c"),
        ("a = b = c", "a", "b = c"),
        ("a = c3RyaW5n==", "a", "c3RyaW5n=="),
        ("a = b # note", "a", "b # note"),
        ('a = "b"', "a", '"b"'),
        ("A.B = c", "A.B", "c"),
        ("a b = c", "a b", "c"),
        ("; a = b", "; a", "b"),
        ("// a = b", "// a", "b"),
        ("a ==", "a", "="),
        ("==a", "=", "a"),
        ("= a = b", "= a", "b"),
        ("a = $HOME/~x", "a", "$HOME/~x"),
    ],
)
def test_a_setting(line: str, key: str, value: str) -> None:
    assert parse(line.encode(), "f").entries == (Entry(key, value, Origin("f", 1)),)


@pytest.mark.parametrize("line", ["", "   ", "#", "# a = b", "   # a = b", "\r", "\u00a0"])
def test_nothing(line: str) -> None:
    assert parse(line.encode(), "f") == Document()


@pytest.mark.parametrize(
    ("line", "reason", "key"),
    [
        ("a =", Drop.NO_VALUE, "a"),
        ("a.b =   ", Drop.NO_VALUE, "a.b"),
        ("= b", Drop.NO_KEY, ""),
        ("=", Drop.NO_KEY, ""),
        ("word", Drop.NO_EQUALS, "word"),
        ("two words", Drop.NO_EQUALS, "two"),
        ("a = b\0c", Drop.NUL, ""),
        ("==", Drop.NO_VALUE, "="),
    ],
)
def test_a_dropped_line(line: str, reason: Drop, key: str) -> None:
    assert parse(line.encode(), "f").dropped == (Dropped(Origin("f", 1), reason, key),)


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfa = b", "f").entries[0].key == "a"


def test_lines_are_counted_from_one_with_blanks_and_comments() -> None:
    found = parse(b"\n# x\na = 1\r\n\nb = 2", "dir/file.conf")
    assert [str(entry.origin) for entry in found.entries] == ["dir/file.conf:3", "dir/file.conf:5"]


def test_only_line_feeds_end_lines() -> None:
    assert parse("a = x\u2028y\vz".encode(), "f").entries[0].value == "x\u2028y\vz"


def test_a_long_line_does_not_end_the_file() -> None:
    found = parse(b"a = " + b"x" * 200_000 + b"\nb = 2", "f")
    assert [len(entry.value) for entry in found.entries] == [200_000, 1]


def test_latin_1_is_read_line_by_line() -> None:
    found = parse(b"a = gr\xfcn\nb = gr\xc3\xbcn", "f")
    assert [(entry.value, entry.latin1) for entry in found.entries] == [("grün", True), ("grün", False)]


def test_a_comment_that_is_not_utf8_is_no_problem() -> None:
    assert parse(b"# gr\xfcn", "f") == Document()


def test_prefix_and_untyped_reach_every_line() -> None:
    found = parse(b"x = 1\ny =", "plugin.d/foo.cfg", prefix="plugin.foo.", typed=False)
    assert found.entries[0].key == "plugin.foo.x"
    assert not found.entries[0].typed
    assert found.dropped[0].key == "plugin.foo.y"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_all_times(end: str) -> None:
    lines = ["identity = broker", "plugin.nats.pass = hunter2", "", "# comment", "loglevel = info"]
    for last in ("", end):
        found = parse((end.join(lines) + last).encode(), "f")
        assert [(entry.key, entry.value, entry.origin.line) for entry in found.entries] == [
            ("identity", "broker", 1),
            ("plugin.nats.pass", "hunter2", 2),
            ("loglevel", "info", 5),
        ]


def test_mixed_line_ends() -> None:
    found = parse(b"a = 1\r\nb = 2\rc = 3\nd = 4\r\r\ne = 5", "f")
    assert [(entry.key, entry.value, entry.origin.line) for entry in found.entries] == [
        ("a", "1", 1),
        ("b", "2", 2),
        ("c", "3", 3),
        ("d", "4", 4),
        ("e", "5", 6),
    ]


def test_values_stay_out_of_the_text_form() -> None:
    assert "hunter2" not in repr(parse(b"password = hunter2", "f"))


@given(st.binary(max_size=400))
def test_no_line_is_lost(data: bytes) -> None:
    found = parse(data, "f")
    lines = {entry.origin.line for entry in found.entries} | {drop.origin.line for drop in found.dropped}
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf")), start=1):
        try:
            text = line.decode().strip(BLANKS)
        except UnicodeDecodeError:
            text = line.decode("latin-1").strip(BLANKS)
        assert (number in lines) == bool(text and not text.startswith("#"))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=60))
def test_keys_and_values_have_no_blanks_around_them(line: str) -> None:
    for entry in parse(line.encode(), "f").entries:
        assert entry.key == entry.key.strip(BLANKS)
        assert entry.value == entry.value.strip(BLANKS)
        assert entry.value
