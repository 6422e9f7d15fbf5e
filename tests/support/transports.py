"""Transport messages of both versions, for tests of the federation broker: those that were captured, and any other."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

LONDON = "choria.federation.london."
HOP = (
    "nats://localhost:14222",
    "broker1.example.net (choria_nats_ingest:4, choria_request_transformer:9, choria_nats_egest:9)",
    "nats://localhost:14222",
)
REPLY_HOP = (
    "nats://localhost:14222",
    "broker1.example.net (choria_nats_ingest:4, choria_reply_transformer:9, choria_nats_egest:9)",
    "nats://localhost:14222",
)

V1_REQUEST = (
    b'{"protocol":"choria:transport:1","data":"eyJ4IjoxfQ==","headers":{"reply-to":"mcollective.reply.e33b'
    b"f0376d4accbb4a8"
    b'fd24b2f840b2e.1","mc_sender":"client.example.net","seen-by":[["nats://choria1.fed.example.net:4222",'
    b'"client.example'
    b'.net","nats://choria1.fed.example.net:4222"]],"federation":{"req":"a1b2c3","target":["mcollective.no'
    b"de.web1.example"
    b'.net","mcollective.node.web2.example.net"]}}}'
)
V1_REQUEST_OUT = (
    b'{"protocol":"choria:transport:1","data":"eyJ4IjoxfQ==","headers":{"reply-to":"choria.federation.lond'
    b'on.collective",'
    b'"mc_sender":"client.example.net","seen-by":[["nats://choria1.fed.example.net:4222","client.example.n'
    b'et","nats://cho'
    b'ria1.fed.example.net:4222"],["nats://localhost:14222","broker1.example.net (choria_nats_ingest:4, ch'
    b"oria_request_tr"
    b'ansformer:9, choria_nats_egest:9)","nats://localhost:14222"]],"federation":{"req":"a1b2c3","reply-to'
    b'":"mcollective.'
    b'reply.e33bf0376d4accbb4a8fd24b2f840b2e.1"}}}'
)
V2_REQUEST = (
    b'{"protocol":"io.choria.protocol.v2.transport","data":"eyJ4IjoxfQ==","headers":{"reply":"choria.reply'
    b'.e33b.2","sende'
    b'r":"client.example.net","federation":{"request":"a1b2c4","targets":["mcollective.node.web1.example.net"]}}}'
)
V2_REQUEST_OUT = (
    b'{"protocol":"io.choria.protocol.v2.transport","data":"eyJ4IjoxfQ==","headers":{"reply":"choria.feder'
    b"ation.london.co"
    b'llective","sender":"client.example.net","trace":[["nats://localhost:14222","broker1.example.net (cho'
    b"ria_nats_ingest"
    b':4, choria_request_transformer:9, choria_nats_egest:9)","nats://localhost:14222"]],"federation":{"re'
    b'quest":"a1b2c4"'
    b',"reply":"choria.reply.e33b.2"}}}'
)
V1_REPLY = (
    b'{"protocol":"choria:transport:1","data":"eyJyIjoxfQ==","headers":{"mc_sender":"web1.example.net","se'
    b'en-by":[["a","b'
    b'","c"]],"federation":{"req":"a1b2c3","reply-to":"mcollective.reply.e33bf0376d4accbb4a8fd24b2f840b2e.1"}}}'
)
V1_REPLY_OUT = (
    b'{"protocol":"choria:transport:1","data":"eyJyIjoxfQ==","headers":{"mc_sender":"web1.example.net","se'
    b'en-by":[["a","b'
    b'","c"],["nats://localhost:14222","broker1.example.net (choria_nats_ingest:4, choria_reply_transforme'
    b"r:9, choria_nat"
    b's_egest:9)","nats://localhost:14222"]]}}'
)
V2_REPLY = (
    b'{"protocol":"io.choria.protocol.v2.transport","data":"eyJyIjoxfQ==","headers":{"sender":"web1.exampl'
    b'e.net","federat'
    b'ion":{"request":"a1b2c4","reply":"mcollective.reply.e33b.2"}}}'
)
V2_REPLY_OUT = (
    b'{"protocol":"io.choria.protocol.v2.transport","data":"eyJyIjoxfQ==","headers":{"sender":"web1.exampl'
    b'e.net","trace":'
    b'[["nats://localhost:14222","broker1.example.net (choria_nats_ingest:4, choria_reply_transformer:9, c'
    b"horia_nats_eges"
    b't:9)","nats://localhost:14222"]]}}'
)

NAMES = {
    "choria:transport:1": ("reply-to", "mc_sender", "seen-by", "req", "reply-to", "target"),
    "io.choria.protocol.v2.transport": ("reply", "sender", "trace", "request", "reply", "targets"),
}
_KNOWN = {name for names in NAMES.values() for name in names} | {"federation", "protocol", "data", "headers"}

TOKENS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters=".*>"), min_size=1)
SUBJECTS = st.lists(TOKENS, min_size=1, max_size=5).map(".".join).filter(lambda subject: not subject.startswith("$"))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
OTHERS = st.dictionaries(st.text().filter(lambda name: name.casefold() not in _KNOWN), JSON, max_size=3)
HOPS = st.lists(st.tuples(st.text(), st.text(), st.text()).map(list), max_size=3)


def encoded(document: object) -> bytes:
    """Write a message as programs do."""
    return json.dumps(document, ensure_ascii=False).encode(errors="replace")


def message(headers: object, protocol: str = "choria:transport:1", **fields: object) -> bytes:
    """Write a message with headers."""
    return encoded({"protocol": protocol, "data": "eyJ4IjoxfQ==", "headers": headers, **fields})


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


@st.composite
def valid_messages(draw: st.DrawFn, *, request: bool) -> dict[str, Any]:
    """Make a valid message of either version: a federated request of a client, or a reply of a server."""
    protocol, names = draw(st.sampled_from(sorted(NAMES.items())))
    reply, sender, hops, identifier, original, targets = names
    federation = _present(**{identifier: draw(st.text())}) | draw(OTHERS)
    headers = _present(**{sender: draw(st.text()), hops: draw(HOPS)}) | draw(OTHERS)
    if request:
        federation[targets] = draw(st.lists(SUBJECTS, min_size=1, max_size=5))
        headers[reply] = draw(SUBJECTS)
    else:
        federation[original] = draw(SUBJECTS)
        headers |= _present(**{reply: draw(st.text())})
    data = base64.b64encode(draw(st.binary())).decode()
    return {"protocol": protocol, "data": data, "headers": {**headers, "federation": federation}, **draw(OTHERS)}
