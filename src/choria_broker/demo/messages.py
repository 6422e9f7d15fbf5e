"""Messages of the Choria protocol, version 1, as a simulated fleet says them: nothing in them is signed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

import msgspec

from choria_broker.access.subjects import is_literal
from choria_broker.demo.people import COLLECTIVE

DISCOVERY = "discovery"
"""The agent that answers pings."""

_LONGEST = 64
_VERSION = "0.28.0"


class Asked(msgspec.Struct, frozen=True):
    """A request that somebody answers.

    Attributes:
        number: its id.
        reply_to: subject for the answers.
    """

    number: str
    reply_to: str


def fleet_subject(agent: str) -> str:
    """Return the subject of requests to all servers."""
    return f"{COLLECTIVE}.broadcast.agent.{agent}"


def node_subject(identity: str) -> str:
    """Return the subject of requests to one server."""
    return f"{COLLECTIVE}.node.{identity}"


def request(caller: str, agent: str, body: str, *, number: str, reply_to: str, now: int) -> bytes:
    """Write a request.

    Args:
        caller: caller id of who asks.
        agent: who is to answer.
        body: what is said.
        number: id of the request.
        reply_to: subject for the answers; empty when nobody is to answer.
        now: Unix seconds.
    """
    inner = {
        "protocol": "choria:request:1",
        "message": base64.b64encode(body.encode()).decode(),
        "envelope": {
            "requestid": number,
            "senderid": caller,
            "callerid": caller,
            "collective": COLLECTIVE,
            "agent": agent,
            "ttl": 60,
            "time": now,
            "filter": {"fact": [], "cf_class": [], "agent": [], "identity": [], "compound": []},
        },
    }
    proof = {"signature": "insecure", "pubcert": "insecure registration"}
    return _transported("choria:secure:request:1", inner, proof, caller, reply_to)


def reply(asked: Asked, identity: str, body: str, *, now: int) -> bytes:
    """Write a server's answer."""
    inner = {
        "protocol": "choria:reply:1",
        "message": base64.b64encode(body.encode()).decode(),
        "envelope": {"requestid": asked.number, "senderid": identity, "agent": DISCOVERY, "time": now},
    }
    digest = hashlib.sha256(_text(inner).encode()).digest()
    proof = {"hash": base64.b64encode(digest).decode()}
    return _transported("choria:secure:reply:1", inner, proof, identity, "")


def asked_by(message: bytes) -> Asked | None:
    """Read a request, None when it is none that can be answered."""
    try:
        transport = json.loads(message)
        secure = json.loads(base64.b64decode(transport["data"], validate=True))
        number = json.loads(secure["message"])["envelope"]["requestid"]
        reply_to = transport["headers"]["reply-to"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        return None
    if not (isinstance(number, str) and isinstance(reply_to, str)) or len(number) > _LONGEST:
        return None
    if not reply_to.startswith(f"{COLLECTIVE}.reply.") or not is_literal(reply_to):
        return None
    return Asked(number, reply_to)


def event(kind: str, identity: str, *, number: str, now: int) -> tuple[str, bytes]:
    """Write a lifecycle event of a server.

    Args:
        kind: such as ``startup``, ``alive`` or ``shutdown``.
        identity: of the server.
        number: id of the event.
        now: Unix seconds.

    Returns:
        Subject and message.
    """
    told = {
        "protocol": f"io.choria.lifecycle.v1.{kind}",
        "id": number,
        "identity": identity,
        "component": "server",
        "timestamp": now,
    }
    if kind != "shutdown":
        told["version"] = _VERSION
    return f"choria.lifecycle.event.{kind}.server", _text(told).encode()


def _transported(protocol: str, inner: object, proof: dict[str, str], sender: str, reply_to: str) -> bytes:
    secure = {"protocol": protocol, "message": _text(inner), **proof}
    headers = {"mc_sender": sender} | ({"reply-to": reply_to} if reply_to else {})
    data = base64.b64encode(_text(secure).encode()).decode()
    return _text({"protocol": "choria:transport:1", "data": data, "headers": headers}).encode()


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
