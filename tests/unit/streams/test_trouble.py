"""Lines of nats-server 2.15.2, as it wrote them, and what they mean."""

from __future__ import annotations

import logging

import pytest

from choria_broker.streams.trouble import Kind, cut_short, deleted, recognise

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
    assert (trouble.kind, trouble.account, trouble.stream) == (Kind.NOT_RESTORED, "choria", "CHORIA_EVENTS")
    assert "untouched in /var/lib/choria/jetstream/choria/streams/CHORIA_EVENTS" in trouble.words


@pytest.mark.parametrize(
    ("line", "kind", "account", "stream", "remedy"),
    [
        (
            f'  Error recreating stream "X": write {BLOCK}: no space left on device (10077)',
            *(Kind.NOT_RESTORED, "", "X", "make room"),
        ),
        (
            '  Error recreating stream "X": replicas > 1 not supported in non-clustered mode (10074)',
            *(Kind.NOT_RESTORED, "", "X", "no peers"),
        ),
        ('  Error recreating stream "X": something else', Kind.NOT_RESTORED, "", "X", "the engine's reason"),
        (
            "  Detected unsupported stream 'choria > X': unsupported - required API level: 9, current API level: 5",
            *(Kind.NOT_RESTORED, "choria", "X", "version of the broker"),
        ),
        (
            f"Filestore [X] indexCacheBuf corrupt record state in {BLOCK}: dlen -22 slen 0 index 0 rl 0 lbuf 13490",
            *(Kind.DAMAGED, "", "X", "check the disk"),
        ),
        (
            f"JetStream stream 'ACME > X' critical write error: write {BLOCK}: no space left on device",
            *(Kind.WRITE_FAILED, "ACME", "X", "make room"),
        ),
        (
            f"JetStream stream 'ACME > X' critical write error: write {BLOCK}: input/output error",
            *(Kind.WRITE_FAILED, "ACME", "X", "mend the file system"),
        ),
        ("JetStream file resource limits exceeded for server", Kind.FULL, "", "", "make room and restart"),
        ("JetStream out of File resources, will be DISABLED", Kind.STREAMS_OFF, "", "", "restart the broker"),
        ("JetStream out of resources, will be DISABLED", Kind.STREAMS_OFF, "", "", "restart the broker"),
        ("JetStream out of space, will be DISABLED", Kind.STREAMS_OFF, "", "", "restart the broker"),
        (
            "File system permission denied while writing, disabling JetStream",
            *(Kind.STREAMS_OFF, "", "", "let the broker's user write"),
        ),
        (
            "Filestore [X] File system permission denied when flushing stream state, disabling JetStream: open: x",
            *(Kind.STREAMS_OFF, "", "", "let the broker's user write"),
        ),
        ("Detected orphaned stream 'choria > X', will cleanup", Kind.DELETED, "choria", "X", "backup"),
    ],
)
def test_other_troubles(line: str, kind: Kind, account: str, stream: str, remedy: str) -> None:
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


def test_what_the_files_tell() -> None:
    cut = cut_short("choria", "X", 10494)
    assert (cut.kind, cut.level) == (Kind.CUT, logging.WARNING)
    assert "10494 bytes shorter" in cut.words
    gone = deleted("choria", "X", "/s/kept/choria.X.1")
    assert gone.kind is Kind.DELETED
    assert "all its files are kept in /s/kept/choria.X.1" in gone.words
