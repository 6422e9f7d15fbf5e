"""Messages of the Choria protocol as servers publish them: registration data and replies, in both versions."""

from __future__ import annotations

import base64
import json
from typing import Any

DOCUMENT = "choria:adapters:choria_streams:output:1"
TIME = 1706918400
"""2024-02-03T00:00:00Z."""

REQUEST = "2e3a5b1c0d9f4a6b8c7d6e5f4a3b2c1d"
BODY = "eyJoZWxsbyI6MX0="
SENDER = "web1.example.net"
FILTER: dict[str, list[str]] = {name: [] for name in ("fact", "cf_class", "agent", "identity", "compound")}


def packed(document: object) -> str:
    """Write a document as base64 of its compact JSON."""
    return base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()


def text(document: object) -> bytes:
    """Write a document as compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def inner_v1(*, request: bool, body: str = BODY, sender: str = SENDER, time: int = TIME) -> dict[str, Any]:
    """Make a request or reply of version 1."""
    kind = "request" if request else "reply"
    envelope: dict[str, Any] = {"requestid": REQUEST, "senderid": sender, "agent": "registration", "time": time}
    if request:
        envelope |= {"callerid": f"choria={sender}", "collective": "mcollective", "ttl": 60, "filter": FILTER}
    return {"protocol": f"choria:{kind}:1", "message": body, "envelope": envelope}


def secure_v1(inner: object, *, request: bool) -> dict[str, Any]:
    """Put a request or reply of version 1 into its secure envelope."""
    kind = "request" if request else "reply"
    proof = {"signature": "insecure", "pubcert": "insecure registration"} if request else {"hash": "c3=="}
    return {"protocol": f"choria:secure:{kind}:1", "message": json.dumps(inner, separators=(",", ":")), **proof}


def inner_v2(*, request: bool, body: bytes = b"body", sender: str = SENDER, time: int = TIME * 10**9) -> dict[str, Any]:
    """Make a request or reply of version 2."""
    common = {
        "message": base64.b64encode(body).decode(),
        "sender": sender,
        "agent": "registration",
        "time": time,
    }
    if not request:
        return {"protocol": "io.choria.protocol.v2.reply", "request": REQUEST, **common}
    whole = {"caller": f"choria={sender}", "collective": "mcollective", "ttl": 60, "filter": FILTER}
    return {"protocol": "io.choria.protocol.v2.request", "id": REQUEST, **common, **whole}


def secure_v2(inner: object, *, request: bool) -> dict[str, Any]:
    """Put a request or reply of version 2 into its secure envelope."""
    kind = "request" if request else "reply"
    proof = {"signature": "", "caller": "x", "signer": "y"} if request else {"hash": "c3==", "sender": SENDER}
    return {"protocol": f"io.choria.protocol.v2.secure_{kind}", kind: packed(inner), **proof}


def transported(secure: object, version: int = 1) -> bytes:
    """Put a secure envelope into a transport message."""
    if version == 1:
        headers = {"mc_sender": SENDER}
        return text({"protocol": "choria:transport:1", "data": packed(secure), "headers": headers})
    headers = {"sender": SENDER}
    return text({"protocol": "io.choria.protocol.v2.transport", "data": packed(secure), "headers": headers})


def message(*, version: int = 1, request: bool = True, **inner: Any) -> bytes:
    """Make a whole message."""
    if version == 1:
        return transported(secure_v1(inner_v1(request=request, **inner), request=request))
    return transported(secure_v2(inner_v2(request=request, **inner), request=request), 2)
