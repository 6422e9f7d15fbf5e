"""What the edges find out about the machine and the network, as plain values that decisions take as arguments."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Overrides:
    """Choices of the command line that change how a configuration is understood.

    Attributes:
        debug: log at debug level whatever the configuration says.
        disable_tls: no TLS, unless the configuration forces it on the client port.
        disable_ssl_verification: client certificates are not requested.
        lenient: bad values act as in go-choria instead of keeping the broker from starting.
    """

    debug: bool = False
    disable_tls: bool = False
    disable_ssl_verification: bool = False
    lenient: bool = False


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class FileFact:
    """A file that was looked at: its content, or why there is none. The content may be a private key.

    Attributes:
        content: all bytes, empty when it could not be read.
        problem: the operating system's words, such as ``no such file or directory``; empty when it was read.
        missing: there is no such file, as opposed to one that cannot be read.
    """

    content: bytes = b""
    problem: str = ""
    missing: bool = False

    def __repr__(self) -> str:
        """Write the size or the problem."""
        return f"FileFact({self.problem or f'{len(self.content)} bytes'})"


@dataclasses.dataclass(frozen=True, slots=True)
class StoreFact:
    """The store of an operator: its files, or why there is none.

    Attributes:
        directory: where it is.
        operator: file with the operator's token.
        accounts: file with the account's token, by the name of its directory.
        credentials: credentials files, in the order of their names, by name of the account.
        modes: permission bits of the store's directory, the operator's file and the directory of the accounts, as far
            as they are there.
        problem: why it could not be read, with the path; empty when it was read.
    """

    directory: Path
    operator: FileFact = FileFact()
    accounts: Mapping[str, FileFact] = dataclasses.field(default_factory=dict)
    credentials: Mapping[str, Mapping[Path, FileFact]] = dataclasses.field(default_factory=dict)
    modes: Mapping[Path, int] = dataclasses.field(default_factory=dict)
    problem: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SrvAnswer:
    """Answer to one SRV query.

    Attributes:
        record: full name that was asked.
        targets: host and port, in order of use.
        problem: why there is no answer, empty otherwise.
        failed: True when the name servers did not answer, as opposed to answering that there is no such record.
    """

    record: str
    targets: tuple[tuple[str, int], ...] = ()
    problem: str = ""
    failed: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """Everything from outside that settings depend on.

    Attributes:
        source: absolute path of the main configuration file.
        now: time for validity of certificates, with time zone.
        identity: name found for this machine, used when none is configured; empty when nothing was found.
        certname: certificate name given by the environment, empty when there is none.
        ssldir: directory of puppet's TLS files, used when none is configured; None when it was not found.
        srv: answer about cluster peers, None when it was not asked.
        no_domain: True when SRV records were wanted and no domain to ask in was known.
        addresses: IP addresses of peers by host name; a missing or empty entry is an unknown name.
        local_addresses: which of these addresses belong to this machine.
        files: content of files the configuration names.
        store_problem: why the store of Choria Streams cannot be written, empty when it can.
        operator_store: store of the operator that is configured, None when there is none.
    """

    source: Path
    now: dt.datetime
    identity: str = ""
    certname: str = ""
    ssldir: Path | None = None
    srv: SrvAnswer | None = None
    no_domain: bool = False
    addresses: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    local_addresses: frozenset[str] = frozenset()
    files: Mapping[Path, FileFact] = dataclasses.field(default_factory=dict)
    store_problem: str = ""
    operator_store: StoreFact | None = None

    def file(self, path: Path) -> FileFact:
        """Return what is known of a file; one that nobody looked at counts as missing."""
        return self.files.get(path, FileFact(problem="no such file or directory"))
