from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choria_broker.security.revocation_file import EntryError, entry_of, read_entries, read_entry, write_entry
from choria_broker.settings.findings import Origin
from choria_broker.settings.revocation import Entry, EntryKind

HERE = Origin("/etc/choria/revoked", 1)
KEY = "ca053de1983992e117c6d0f34400e4f024eccd228797eb02c5cb5a8c112b2b17"
MANUAL = f"""
identity web1.example.net                 # servers by identity: token, or certificate name
caller choria=bob until=2026-12-24T00:00:00Z
token 2YBXZK4xX1kVAqTObeO4mgmC3bq         # jti
key {KEY}
certificate 4F3A09 issuer="CN=Puppet CA: puppet.example.net"   # serial in hex; issuer may be left out
"""


def test_the_example_of_the_manual() -> None:
    entries, unreadable = read_entries(MANUAL.encode(), "/r")
    assert not unreadable
    issuer = "CN=Puppet CA: puppet.example.net"
    assert entries == (
        Entry(EntryKind.IDENTITY, "web1.example.net", Origin("/r", 2)),
        Entry(EntryKind.CALLER, "choria=bob", Origin("/r", 3), until=1798070400.0),
        Entry(EntryKind.TOKEN, "2YBXZK4xX1kVAqTObeO4mgmC3bq", Origin("/r", 4)),
        Entry(EntryKind.KEY, KEY, Origin("/r", 5)),
        Entry(EntryKind.CERTIFICATE, "4f3a09", Origin("/r", 6), None, (issuer.lower(),), issuer),
    )
    assert [str(each) for each in entries][-1] == f'certificate 4f3a09 issuer="{issuer}"'
    assert not entries[1].counts(1798070400.0)
    assert entries[1].counts(1798070399.9)
    assert entries[0].counts(0.0)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("identity WEB1.Example.Net", "web1.example.net"),
        ('caller "up=x y"', "up=x y"),
        ('caller "a\\"b\\\\c"', 'a"b\\c'),
        ("caller up=x#y # why", "up=x#y"),
        ("\tcaller\tup=x\r", "up=x"),
        ("certificate 00:4f:3A", "4f3a"),
        ("certificate 0x1", "1"),
        ("certificate 0", "0"),
        (f"key {KEY.upper()}", KEY),
        ('certificate 1 issuer="CN=a\\, b"', "1"),
        ("certificate 1 issuer=CN=a until=2026-12-24T00:00:00+01:00", "1"),
    ],
)
def test_values_have_one_spelling(line: str, value: str) -> None:
    entry = read_entry(line, HERE)
    assert entry
    assert entry.value == value


@pytest.mark.parametrize("line", ["", "  ", "# all", "   # identity x", "\r"])
def test_a_line_may_say_nothing(line: str) -> None:
    assert read_entry(line, HERE) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bogus x", "begins with one of identity, caller, token, key, certificate"),
        ("Identity x", "begins with one of"),
        ("caller", "the value after caller is missing"),
        ('caller ""', "the value after caller is missing"),
        ('caller " "', "is empty"),
        ("caller a\x1bb", "characters that do not print"),
        ("caller " + "a" * 1025, "too long"),
        ("caller a b", "only be until=TIME"),
        ("caller a until=", "only be until=TIME"),
        ("caller a until=2026-12-24T00:00:00Z until=2026-12-24T00:00:00Z", "only be until=TIME"),
        ("caller a reason=x", "only be until=TIME"),
        ("caller a issuer=CN=x", "only a certificate has an issuer"),
        ('caller "a', "quotation mark"),
        ('caller a"b"c"', "quotation mark"),
        ("caller a until=2026-12-24", "a time is written as"),
        ("caller a until=2026-12-24T00:00:00", "a time is written as"),
        ("caller a until=soon", "a time is written as"),
        ("certificate zz", "serial number in hexadecimal"),
        ("certificate -1", "serial number in hexadecimal"),
        ("certificate 1 issuer=nobody", "the issuer is not a name"),
        ("key 12", "64 hexadecimal digits"),
    ],
)
def test_an_unreadable_line_says_why(line: str, why: str) -> None:
    with pytest.raises(EntryError, match=why):
        read_entry(line, HERE)
    entries, unreadable = read_entries(f"identity a\n{line}\ncaller b\n".encode(), "/r")
    assert len(entries) == 2
    assert [each.line for each in unreadable] == [2]


def test_bytes_that_are_no_text_and_a_mark_at_the_beginning() -> None:
    entries, unreadable = read_entries(b"\xef\xbb\xbfidentity a\r\n\xff\n", "/r")
    assert [each.value for each in entries] == ["a"]
    assert [(each.line, each.problem) for each in unreadable] == [(2, "the line is not UTF-8")]


TEXTS = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() and bool(text.strip()))


@given(
    subject=st.sampled_from([EntryKind.CALLER, EntryKind.TOKEN, EntryKind.IDENTITY]),
    value=TEXTS,
    until=st.sampled_from(["", "2026-12-24T00:00:00Z"]),
    comment=st.text(max_size=20),
)
def test_what_is_written_is_read_again(subject: EntryKind, value: str, until: str, comment: str) -> None:
    entry = entry_of(subject, value, HERE, until=until)
    line = write_entry(entry, value, comment)
    assert "\n" not in line
    assert read_entry(line, HERE) == entry


@given(serial=st.integers(0, 2**160), issuer=st.sampled_from(["", "CN=a", 'O=Example\\, Inc,CN="x"']))
def test_certificates_are_written_and_read_again(serial: int, issuer: str) -> None:
    entry = entry_of(EntryKind.CERTIFICATE, f"{serial:X}", HERE, issuer=issuer)
    assert read_entry(write_entry(entry, f"{serial:X}"), HERE) == entry


@given(st.binary(max_size=200))
def test_nothing_makes_it_raise(content: bytes) -> None:
    entries, unreadable = read_entries(content, "/r")
    assert len(entries) + len(unreadable) <= content.count(b"\n") + 1


@pytest.mark.parametrize(
    ("line", "comment", "written"),
    [
        ("identity web1", "", "identity web1"),
        ('caller "up=x y"', " left\non Friday ", 'caller "up=x y"  # left on Friday'),
        ('caller "a\\"b"', "", 'caller "a\\"b"'),
        ("token #1", "", None),
        ('token "#1"', "", 'token "#1"'),
        (
            'certificate 4F issuer="CN=a\\, b" until=2026-12-24T01:00:00+01:00',
            "",
            'certificate 4F until=2026-12-24T00:00:00Z issuer="CN=a\\\\, b"',
        ),
    ],
)
def test_entries_are_written(line: str, comment: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(EntryError):
            read_entry(line, HERE)
        return
    entry = read_entry(line, HERE)
    assert entry
    value = "4F" if entry.subject is EntryKind.CERTIFICATE else entry.value
    assert write_entry(entry, value, comment) == written
    assert read_entry(written, HERE) == entry
