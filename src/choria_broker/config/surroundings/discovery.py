"""Asks machine and network: host name, DNS, facter, puppet. Everything has a deadline, nothing raises."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from choria_broker.config.surroundings.facts import SrvAnswer
from choria_broker.host.commands import COMMANDS
from choria_broker.host.facts import Bindable
from choria_broker.host.listening import bindable

if TYPE_CHECKING:
    import dns.resolver

TIME_LIMIT = 5.0
"""Seconds that discovery may take altogether."""

_PUPPET_DIRECTORY = Path("/etc/puppetlabs/puppet/ssl")
_SHARE_OF_NAME = 2.0
"""Seconds for the name of this machine, so that the rest still has its turn."""
_SHARE_OF_SRV = 3.0
"""Seconds for SRV records, so that peers from the configuration can still be looked up."""
_FULL_NAME_DOTS = 2
_LOOKUPS_AT_ONCE = 64
"""Threads that look up names, so that a long list of peers does not take as many as it has names."""

_Answer = TypeVar("_Answer")


def lookup_srv(record: str, seconds: float, resolver: dns.resolver.Resolver | None = None) -> SrvAnswer:
    """Ask DNS for an SRV record, within so many seconds.

    Args:
        record: full name.
        seconds: how long to wait for an answer.
        resolver: whom to ask; the name servers of this machine when left out.
    """
    # It takes a while to load, and most configurations look up no SRV record.
    import dns.exception  # noqa: PLC0415
    import dns.rdtypes.IN.SRV  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    try:
        resolver = resolver or dns.resolver.Resolver()
        answer = resolver.resolve(record, "SRV", lifetime=max(seconds, 0.1), search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return SrvAnswer(record, problem="no such record")
    except dns.resolver.LifetimeTimeout:
        return SrvAnswer(record, problem="the name servers did not answer in time", failed=True)
    except (dns.exception.DNSException, OSError, ValueError):
        return SrvAnswer(record, problem="the name servers gave no usable answer", failed=True)
    rrset = answer.rrset
    found = rrset.processing_order() if rrset is not None else []
    targets = tuple((str(item.target), item.port) for item in found if isinstance(item, dns.rdtypes.IN.SRV.SRV))
    return SrvAnswer(record, targets)


def lookup_addresses(host: str) -> tuple[str, ...]:
    """Return the IP addresses of a host, from hosts file or DNS; empty when it is unknown."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def lookup_full_name(hostname: str) -> str:
    """Return the full name of a host: its first IPv4 address looked up in reverse; empty when there is none."""
    try:
        name = socket.gethostbyaddr(socket.gethostbyname(hostname))[0].rstrip(".")
    except (OSError, UnicodeError):
        return ""
    return "" if name == "localhost" else name


def is_local_address(address: str) -> bool:
    """Tell whether an address belongs to this machine.

    A connected datagram socket sends nothing, but makes the kernel choose a source address: for an own address it is
    that address. Unlike binding, this is not fooled by the setting that allows binding foreign addresses.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return bool(probe.getsockname()[0] == address)
    except OSError:
        return False


class Discovery(msgspec.Struct, frozen=True):
    """The ways to find things out; every one can be replaced in tests.

    Attributes:
        hostname: host name of this machine.
        full_name: full name of a host, empty when unknown.
        addresses: addresses of a host, empty when unknown.
        is_local: whether an address belongs to this machine.
        bindable: what this machine can bind of a listen address.
        srv: SRV look-up, given record and seconds.
        run: runs a command, given the command and seconds; empty output when it fails.
        tools: directories searched for ``facter`` and ``puppet`` before ``PATH``.
        puppet_directory: where puppet's TLS files usually are.
        root: whether the process has all rights.
        limit: seconds for everything together.
    """

    hostname: Callable[[], str] = socket.gethostname
    full_name: Callable[[str], str] = lookup_full_name
    addresses: Callable[[str], tuple[str, ...]] = lookup_addresses
    is_local: Callable[[str], bool] = is_local_address
    bindable: Callable[[str], Bindable] = bindable
    srv: Callable[[str, float], SrvAnswer] = lookup_srv
    run: Callable[[Sequence[str], float], str] = COMMANDS.run
    tools: tuple[Path, ...] = (Path("/opt/puppetlabs/bin"),)
    puppet_directory: Path = _PUPPET_DIRECTORY
    root: bool = msgspec.field(default_factory=lambda: os.geteuid() == 0)
    limit: float = TIME_LIMIT


class Search:
    """One round of discovery with one deadline for everything."""

    def __init__(self, discovery: Discovery, environ: Mapping[str, str]) -> None:
        """Start the clock."""
        self._ways = discovery
        self._environ = environ
        self._end = time.monotonic() + discovery.limit

    def remaining(self) -> float:
        """Return the seconds left, not less than 0."""
        return max(0.0, self._end - time.monotonic())

    def identity(self) -> str:
        """Return the full name of this machine: host name, DNS, facter, and at last the bare host name."""
        name = self._ways.hostname()
        if name.count(".") >= _FULL_NAME_DOTS:
            return name
        full = _InBackground(lambda: self._ways.full_name(name), "")
        return full.wait(min(_SHARE_OF_NAME, self.remaining())) or self._facter("networking.fqdn") or name

    def domain(self) -> str:
        """Ask facter for the domain; empty when there is none."""
        return self._facter("networking.domain").strip(".")

    def srv(self, record: str) -> SrvAnswer:
        """Ask DNS for an SRV record."""
        return self._ways.srv(record, min(_SHARE_OF_SRV, self.remaining()))

    def addresses(self, hosts: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the addresses of hosts, many asked for at once; empty for those unknown or too slow."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(hosts, ())
        asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        answers: queue.SimpleQueue[tuple[str, tuple[str, ...]]] = queue.SimpleQueue()
        for host in found:
            asked.put(host)
        for _ in range(min(len(found), _LOOKUPS_AT_ONCE)):
            _in_thread(lambda: self._look_up(asked, answers))
        for _ in range(len(found)):
            try:
                host, addresses = answers.get(timeout=self.remaining())
            except queue.Empty:
                break
            found[host] = addresses
        return found

    def _look_up(self, asked: queue.SimpleQueue[str], answers: queue.SimpleQueue[tuple[str, tuple[str, ...]]]) -> None:
        while self.remaining():
            try:
                host = asked.get_nowait()
            except queue.Empty:
                return
            addresses: tuple[str, ...] = ()
            try:
                addresses = self._ways.addresses(host)
            finally:
                answers.put((host, addresses))

    def bindable_in_background(self, addresses: Sequence[str]) -> Callable[[], dict[str, Bindable]]:
        """Start finding out what can be bound of listen addresses; return a function that waits for the result."""
        asked = {address: self._ask_bindable(address) for address in addresses}
        return lambda: {address: answer.wait(self.remaining()) for address, answer in asked.items()}

    def _ask_bindable(self, address: str) -> _InBackground[Bindable]:
        slow = Bindable(problem=f"the name {address} was not resolved in time: the name servers do not answer")
        return _InBackground(lambda: self._ways.bindable(address), slow)

    def local(self, addresses: Sequence[str]) -> frozenset[str]:
        """Return those addresses that belong to this machine."""
        return frozenset(address for address in addresses if self._ways.is_local(address))

    def ssldir_in_background(self) -> Callable[[], Path | None]:
        """Start looking for puppet's TLS directory and return a function that waits for the result."""
        asked = _InBackground(self._ssldir, None)
        return lambda: asked.wait(self.remaining()) or self._usual_ssldir()

    def _ssldir(self) -> Path | None:
        if not self._ways.root:
            home = self._environ.get("HOME", "")
            own = Path(home) / ".puppetlabs/etc/puppet/ssl" if home else None
            # A service user has no files of its own, so the machine's are meant.
            return own if own and (own.is_dir() or not self._usual_ssldir()) else None
        puppet = self._tool("puppet")
        if not puppet:
            return None
        attempts = (["apply", "--environment", "production", "--configprint", "ssldir"], ["config", "print", "ssldir"])
        for place, arguments in enumerate(attempts):
            # The second, simpler way must still have time when the first one hangs.
            seconds = self.remaining() / (len(attempts) - place)
            lines = self._ways.run([puppet, *arguments], seconds).splitlines()
            if lines and lines[-1].startswith("/"):
                return Path(lines[-1])
        return None

    def _usual_ssldir(self) -> Path | None:
        usual = self._ways.puppet_directory
        return usual if usual.is_dir() else None

    def _facter(self, fact: str) -> str:
        command = self._tool("facter")
        return self._ways.run([command, fact], self.remaining() / 2) if command else ""

    def _tool(self, name: str) -> str:
        path = os.pathsep.join([*map(str, self._ways.tools), self._environ.get("PATH", "")])
        return shutil.which(name, path=path) or ""


def _in_thread(call: Callable[[], None]) -> None:
    """Start a call in a thread: a daemon, so that a look-up that hangs never keeps the process from ending."""
    threading.Thread(target=call, daemon=True, name="discovery").start()


class _InBackground(Generic[_Answer]):
    """A call in a thread of its own, for system calls that cannot be given a time limit."""

    def __init__(self, call: Callable[[], _Answer], fallback: _Answer) -> None:
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._fallback = fallback
        self._call = call
        _in_thread(self._run)

    def _run(self) -> None:
        try:
            self._answers.put(self._call())
        finally:
            # Second in the queue, so it only counts when the call failed.
            self._answers.put(self._fallback)

    def wait(self, seconds: float) -> _Answer:
        """Return the answer, or the fallback when it takes longer."""
        try:
            return self._answers.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return self._fallback
