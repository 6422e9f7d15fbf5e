"""Lines of nats-server 2.15.2, as it wrote them, and what they mean."""

from __future__ import annotations

import logging

import pytest

from choria_broker.streams.recognition import kept_earlier, mended, recognise
from choria_broker.streams.trouble import TroubleKind

META = '"/var/lib/choria/jetstream/choria/streams/CHORIA_EVENTS/meta.inf"'
BLOCK = "/var/lib/choria/jetstream/choria/streams/CHORIA_EVENTS/msgs/1.blk"


@pytest.mark.parametrize(
    "line",
    [
        f'  Stream metafile {META}: checksums do not match "165cfcdba9fd2728" vs "1e4ae3d10fcfb48c"',
        f"  Missing stream metafile for {META}",
        f"  Error reading metafile {META}: open {META[1:-1]}: permission denied",
        f"  Missing stream checksum file {META.replace('.inf', '.sum')}",
        f"  Error reading Stream metafile checksum {META.replace('.inf', '.sum')}: input/output error",
        f"  Error unmarshalling stream metafile {META}: unexpected end of JSON input",
    ],
)
def test_streams_whose_description_is_damaged(line: str) -> None:
    trouble = recognise(line)
    assert trouble
    assert (trouble.kind, trouble.account, trouble.stream) == (TroubleKind.NOT_RESTORED, "choria", "CHORIA_EVENTS")
    assert "untouched in /var/lib/choria/jetstream/choria/streams/CHORIA_EVENTS" in trouble.words


@pytest.mark.parametrize(
    ("line", "kind", "account", "stream", "remedy"),
    [
        (
            f'  Error recreating stream "X": write {BLOCK}: no space left on device (10077)',
            *(TroubleKind.NOT_RESTORED, "", "X", "free disk space"),
        ),
        (
            '  Error recreating stream "X": replicas > 1 not supported in non-clustered mode (10074)',
            *(TroubleKind.NOT_RESTORED, "", "X", "no peers"),
        ),
        (
            '  Error recreating stream "X": something else',
            TroubleKind.NOT_RESTORED,
            "",
            "X",
            "cause given by the engine",
        ),
        (
            "  Detected unsupported stream 'choria > X': unsupported - required API level: 9, current API level: 5",
            *(TroubleKind.NOT_RESTORED, "choria", "X", "the broker version that created it"),
        ),
        (
            f"Filestore [X] loadBlock error: open {BLOCK}: input/output error",
            TroubleKind.DAMAGED,
            "",
            "X",
            "check the disk",
        ),
        (
            f"Left damaged block of stream 'choria > X' in \"{BLOCK}\", it cannot be kept elsewhere: no space left",
            *(TroubleKind.DAMAGED, "choria", "X", "free disk space"),
        ),
        (
            f"JetStream stream 'ACME > X' critical write error: write {BLOCK}: no space left on device",
            *(TroubleKind.WRITE_FAILED, "ACME", "X", "free space on the file system"),
        ),
        (
            f"JetStream stream 'ACME > X' critical write error: write {BLOCK}: input/output error",
            *(TroubleKind.WRITE_FAILED, "ACME", "X", "repair the file system"),
        ),
        ("JetStream file resource limits exceeded for server", TroubleKind.FULL, "", "", "free disk space and restart"),
        ("JetStream out of File resources, will be DISABLED", TroubleKind.STREAMS_OFF, "", "", "restart the broker"),
        ("JetStream out of resources, will be DISABLED", TroubleKind.STREAMS_OFF, "", "", "restart the broker"),
        ("JetStream out of space, will be DISABLED", TroubleKind.STREAMS_OFF, "", "", "restart the broker"),
        (
            "File system permission denied while writing, disabling JetStream",
            *(TroubleKind.STREAMS_OFF, "", "", "give the broker's user write access"),
        ),
        (
            "Filestore [X] File system permission denied when flushing stream state, disabling JetStream: open: x",
            *(TroubleKind.STREAMS_OFF, "", "", "give the broker's user write access"),
        ),
        (
            "Kept stream 'choria > X' in \"/s/kept/choria.X.T\": it cannot be restored: open /s/x: not a directory",
            *(
                TroubleKind.KEPT,
                "choria",
                "X",
                "fix that cause, then move that directory to jetstream/choria/streams/X",
            ),
        ),
        (
            "Kept stream 'choria > X' in \"/s/kept/choria.X.T\": the cluster does not know it",
            *(TroubleKind.KEPT, "choria", "X", "of a stopped broker without peers"),
        ),
        (
            "Kept consumer 'choria > X > C' in \"/s/kept/choria.X.C.T\": the cluster does not know it",
            *(TroubleKind.KEPT, "choria", "X", "nats consumer add"),
        ),
        (
            "Left stream 'choria > X' in \"/s/j/X\", it cannot be kept elsewhere: rename a b: no rights; it is gone",
            *(TroubleKind.KEPT, "choria", "X", "before starting it again"),
        ),
    ],
)
def test_other_troubles(line: str, kind: TroubleKind, account: str, stream: str, remedy: str) -> None:
    trouble = recognise(line)
    assert trouble
    assert (trouble.kind, trouble.account, trouble.stream) == (kind, account, stream)
    assert remedy in trouble.remedy
    assert trouble.level == logging.ERROR
    assert not trouble.words.endswith(".")


@pytest.mark.parametrize(
    "line",
    [
        "Server is ready",
        "  Starting restore for stream 'choria > X'",
        "  Restored 100 messages for stream 'choria > X' in 1ms",
        # What a start after a sudden end always says; the state is then found out anew.
        "Filestore [X] Stream state outdated, last block has additional entries, will rebuild",
        # The engine mends that, or tells what it costs.
        f"Filestore [X] indexCacheBuf corrupt record state in {BLOCK}: dlen -22 slen 0 index 0 rl 0 lbuf 13490",
        "Filestore [X] Recovering stream state from index errored: prior state file",
        # Texts of peers.
        '127.0.0.1:5000 - cid:7 - "v1:JetStream out of space, will be DISABLED" - Client connection created',
        "127.0.0.1:5000 - cid:7 - File system permission denied while writing, disabling JetStream",
        "127.0.0.1:5000 - cid:7 - JetStream stream 'choria > CHORIA_EVENTS' critical write error: forged",
        "",
    ],
)
def test_lines_that_mean_nothing_for_the_store(line: str) -> None:
    assert recognise(line) is None


@pytest.mark.parametrize(
    ("numbers", "place", "words"),
    [
        ("7 messages, 900 bytes", "/s/kept/choria.X.T.damaged", "7 messages and 900 bytes of stream X"),
        ("7 messages, 0 bytes", "", "7 messages of stream X"),
        ("0 messages, 900 bytes", "/s/kept/choria.X.T.damaged", "900 bytes of stream X"),
        ("0 messages, 0 bytes", "", "messages of stream X"),
    ],
)
def test_what_is_lost(numbers: str, place: str, words: str) -> None:
    line = f'Lost part of stream \'choria > X\' in "{BLOCK}", {numbers}, kept in "{place}": nothing can be read'
    trouble = recognise(line)
    assert trouble
    assert (trouble.kind, trouble.account, trouble.stream) == (TroubleKind.DAMAGED, "choria", "X")
    assert (trouble.place, trouble.file, trouble.level, trouble.loses) == (place, BLOCK, logging.ERROR, True)
    assert trouble.words.startswith(f"{words} of account choria are lost in {BLOCK}: nothing can be read")
    assert ("kept in" in trouble.words) is bool(place)
    assert "backup" in trouble.remedy
    assert (f"remove {place}" in trouble.remedy) is bool(place)


def test_a_half_written_record() -> None:
    trouble = recognise(f"Cut half-written record of stream 'choria > X' in \"{BLOCK}\", 600 bytes")
    assert trouble
    assert (trouble.kind, trouble.account, trouble.stream, trouble.file) == (TroubleKind.CUT, "choria", "X", BLOCK)
    assert (trouble.level, trouble.loses) == (logging.WARNING, False)
    assert "600 bytes" in trouble.words


def test_what_was_kept_earlier() -> None:
    earlier = kept_earlier("/s/kept/choria.X.1")
    assert (earlier.kind, earlier.account, earlier.stream) == (TroubleKind.KEPT, "choria", "X")
    assert (earlier.place, earlier.absent, earlier.level) == ("/s/kept/choria.X.1", False, logging.INFO)


@pytest.mark.parametrize(
    ("what", "why", "absent"),
    [
        ("stream 'choria > X'", "the cluster does not know it", False),
        ("stream 'choria > X'", "the cluster no longer has it", True),
        ("stream 'choria > X'", "the cluster has it on other members only", False),
        ("stream 'choria > X'", "it cannot be restored: the cluster no longer has it", False),
        ("stream 'choria > X'", "another one of its name comes from a backup", False),
        ("consumer 'choria > X > C'", "the cluster does not know it", False),
    ],
)
def test_what_may_have_been_deleted_on_purpose(what: str, why: str, *, absent: bool) -> None:
    trouble = recognise(f'Kept {what} in "/s/kept/choria.X.T": {why}')
    assert trouble
    assert (trouble.place, trouble.absent) == ("/s/kept/choria.X.T", absent)
    assert f"{why}; all its files are kept in /s/kept/choria.X.T" in trouble.words


@pytest.mark.parametrize(
    ("what", "why", "remedy"),
    [
        ("stream 'choria > X'", "the cluster does not know it", "jetstream/choria/streams/X in the store of a stopped"),
        ("stream 'choria > X'", "the cluster has it on other members only", "nats stream rm X"),
        ("stream 'choria > X'", "the cluster goes on with it on other members, and they may", "nats stream restore"),
        ("stream 'choria > X'", "it cannot be restored: EOF", "fix that cause, then"),
        ("consumer 'choria > X > C'", "the cluster goes on with it on other members", "nats consumer add"),
    ],
)
def test_what_was_kept_has_a_remedy_that_fits_to_why(what: str, why: str, remedy: str) -> None:
    trouble = recognise(f'Kept {what} in "/s/kept/choria.X.T": {why}')
    assert trouble
    assert trouble.loses
    assert remedy in trouble.remedy


def test_a_member_that_was_removed_is_not_told_to_make_room() -> None:
    trouble = recognise("JetStream being DISABLED, our server was removed from the cluster")
    assert trouble
    assert trouble.kind is TroubleKind.STREAMS_OFF
    assert "removed from its cluster" in trouble.words
    assert "back up the streams whose only copy is here" in trouble.remedy
    assert "room" not in trouble.remedy


CONSUMER = "/var/lib/choria/jetstream/choria/streams/ORDERS/obs/READER"


@pytest.mark.parametrize(
    ("line", "words", "remedy"),
    [
        (f'    Missing consumer metafile "{CONSUMER}/meta.inf"', "cannot be read", "create the consumer again"),
        (
            f'    Damaged consumer metafile "{CONSUMER}/meta.inf": the checksum does not match',
            "cannot be read",
            CONSUMER,
        ),
        (f'    Error reading consumer metafile "{CONSUMER}/meta.inf": open: denied', "cannot be read", CONSUMER),
        (f'    Missing consumer checksum for "{CONSUMER}/meta.sum"', "cannot be read", CONSUMER),
        (f'    Error unmarshalling consumer metafile "{CONSUMER}/meta.inf": EOF', "cannot be read", CONSUMER),
        ("    Error adding consumer 'choria > ORDERS > READER': corrupt state", "(corrupt state)", "obs/READER/o.dat"),
        ("Consumer create failed for 'choria > ORDERS > READER': corrupt state", "(corrupt state)", "READER/o.dat"),
    ],
)
def test_damaged_consumers(line: str, words: str, remedy: str) -> None:
    trouble = recognise(line)
    assert trouble
    assert (trouble.kind, trouble.account, trouble.stream) == (TroubleKind.NOT_RESTORED, "choria", "ORDERS")
    assert "consumer READER of stream ORDERS of account choria" in trouble.words
    assert "no message of the stream is lost" in trouble.words
    assert words in trouble.words
    assert remedy in trouble.remedy


def test_what_was_mended_ends_its_own_trouble_only() -> None:
    stream = recognise(
        '  Stream metafile "/s/jetstream/choria/streams/ORDERS/meta.inf": checksums do not match "a" vs "b"'
    )
    consumer = recognise(f'    Missing consumer metafile "{CONSUMER}/meta.inf"')
    assert stream
    assert consumer
    whole = mended("Mended description of stream 'choria > ORDERS'")
    reader = mended("Mended description of consumer 'choria > ORDERS > READER'")
    assert whole
    assert reader
    assert [each.ends(trouble) for each in (whole, reader) for trouble in (stream, consumer)] == [
        True,
        False,
        False,
        True,
    ]
    assert mended("127.0.0.1:5000 - cid:7 - Mended description of stream 'choria > ORDERS'") is None


def test_a_consumer_that_forgot_where_it_was() -> None:
    file = f"{CONSUMER}/o.dat"
    trouble = recognise(f"Lost state of consumer 'choria > ORDERS > READER' in \"{file}\": the file is empty")
    assert trouble
    assert (trouble.kind, trouble.account, trouble.stream, trouble.file) == (
        TroubleKind.DAMAGED,
        "choria",
        "ORDERS",
        file,
    )
    assert trouble.loses
    assert "the saved state of consumer READER of stream ORDERS of account choria is lost" in trouble.words


@pytest.mark.parametrize(
    ("line", "here", "remedy", "loses"),
    [
        ('  Stream metafile "/s/jetstream/choria/streams/COPY.bak/meta.inf"', "here as well", "move it out", False),
        ('  Stream metafile "/s/jetstream/choria/streams/COPY.bak/meta.inf"', "not here", "rename it back", True),
        (f'    Damaged consumer metafile "{CONSUMER}/meta.inf"', "here as well", "move it out", False),
        (f'    Damaged consumer metafile "{CONSUMER}/meta.inf"', "not here", "rename it back to OTHER", True),
    ],
)
def test_a_directory_with_another_name_is_not_called_damaged(line: str, here: str, remedy: str, *, loses: bool) -> None:
    trouble = recognise(f'{line}: it is the description of "OTHER", which is {here}')
    assert trouble
    assert trouble.loses is loses
    assert remedy in trouble.remedy
    assert "OTHER" in trouble.words
    assert "damaged" not in trouble.words
