"""A broker whose dashboard is looked at while many are connected and strangers are refused again and again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import ssl
import time

import psutil

from support.command import Program
from support.minting import client as client_claims
from support.minting import ksuid, mint
from support.minting import server as server_claims

CONNECTIONS = int(os.environ.get("CONNECTIONS", "2000"))
HOSTILE = "<img src=x onerror=document.body.remove()>"
HOSTILE_SERVER = "<img/src=x/onerror=document.body.remove()//"
"""Tokens of servers have neither blanks nor wildcards in their names."""


@dataclasses.dataclass
class Busy:
    """A broker with many connections, and strangers who are refused again and again.

    Attributes:
        url: of its dashboard.
        program: its process.
        refused: how many strangers were refused.
        client_port, context: where clients connect, and how.
        knocking: set while strangers come.
    """

    url: str
    program: Program
    client_port: int
    context: ssl.SSLContext
    refused: int = 0
    knocking: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def worked(self) -> float:
        """Tell for how many seconds the broker and its engine have used a core."""
        own = psutil.Process(self.program.pid)
        return sum(sum(each.cpu_times()[:2]) for each in (own, *own.children(recursive=True)))

    async def knock(self) -> None:
        """Be refused, in one way after another."""
        bad = ("", f"{token('up=x')}x", mint({**client_claims(caller=HOSTILE), "exp": 1, "callerid": HOSTILE}))
        while await self.knocking.wait():
            source = (f"127.0.{3 + self.refused % 3}.{2 + self.refused % 7}", 0)
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.client_port, local_addr=source)
                await reader.readline()
                await writer.start_tls(self.context, server_hostname="127.0.0.1")
                told = {"verbose": False, "name": HOSTILE, "auth_token": bad[self.refused % len(bad)], "sig": "x"}
                writer.write(f"CONNECT {json.dumps(told)}\r\nPING\r\n".encode())
                await reader.read(1000)
                writer.close()
            self.refused += 1
            await asyncio.sleep(0.1)


def token(caller: str) -> str:
    """Make a token of a client that may log in now."""
    now = int(time.time())
    claims = client_claims(permissions={"org_admin": True}, nbf=None, jti=ksuid(now))
    return mint({**claims, "callerid": caller, "iat": now - 60, "exp": now + 86_400})


def server_token(identity: str) -> str:
    """Make a token of a server that may log in now."""
    now = int(time.time())
    return mint({**server_claims(nbf=None, jti=ksuid(now)), "identity": identity, "iat": now - 60, "exp": now + 86_400})
