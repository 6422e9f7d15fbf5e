"""A real name server on loopback, for one zone of a test."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset


@dataclasses.dataclass(frozen=True, slots=True)
class NameServer:
    """A running name server.

    Attributes:
        address: where it answers.
        port: UDP port.
        asked: every question so far, as ``name TYPE`` without the dot at the end.
    """

    address: str
    port: int
    asked: list[str]

    def resolver(self) -> dns.resolver.Resolver:
        """Make a resolver that asks this name server and nobody else."""
        made = dns.resolver.Resolver(configure=False)
        made.nameservers = [self.address]
        made.port = self.port
        return made


@contextlib.contextmanager
def name_server(
    records: Mapping[str, Sequence[str]],
    *,
    silent: bool = False,
    failing: str = "",
    address: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[NameServer]:
    """Answer questions until the end of the context.

    Args:
        records: what there is, by ``name TYPE`` without the dot at the end, as in a zone file.
        silent: hear the questions and answer none.
        failing: answer every question with this code, such as ``SERVFAIL``.
        address: where to listen.
        port: UDP port, 0 for a free one.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        running = NameServer(address, server.getsockname()[1], [])

        def serve() -> None:
            while True:
                data, client = server.recvfrom(4096)
                if not data:
                    return
                with contextlib.suppress(dns.exception.DNSException, OSError):
                    query = dns.message.from_wire(data)
                    reply = _answer(query, records, running.asked)
                    if failing:
                        reply.set_rcode(dns.rcode.from_text(failing))
                    if not silent:
                        server.sendto(reply.to_wire(), client)

        thread = threading.Thread(target=serve, daemon=True, name="name server")
        thread.start()
        try:
            yield running
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", (address, running.port))
            thread.join(5)


def _answer(query: dns.message.Message, records: Mapping[str, Sequence[str]], asked: list[str]) -> dns.message.Message:
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    key = f"{name} {dns.rdatatype.to_text(question.rdtype)}"
    asked.append(key)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA | dns.flags.AA
    if key in records:
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *records[key]))
    elif not any(each.startswith(f"{name} ") for each in records):
        reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply
