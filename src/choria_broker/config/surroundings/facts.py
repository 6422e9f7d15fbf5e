"""What the edges find out about the machine and the network, as plain values that decisions take as arguments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import msgspec

from choria_broker.host.facts import Bindable, FileFact, StoreFact


class Overrides(msgspec.Struct, frozen=True):
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


class SrvAnswer(msgspec.Struct, frozen=True):
    """Answer to one SRV query.

    Attributes:
        record: full name that was asked.
        targets: host as DNS has it and port, in order of use; neither was judged.
        problem: why there is no answer, empty otherwise.
        failed: True when the name servers did not answer, as opposed to answering that there is no such record.
    """

    record: str
    targets: tuple[tuple[str, int], ...] = ()
    problem: str = ""
    failed: bool = False


class FileGroup(msgspec.Struct, frozen=True):
    """Files that the configuration names and that fit together, such as a certificate and its key.

    Attributes:
        files: the files.
        engine: the engine reads them too, or only it does.
    """

    files: tuple[Path, ...]
    engine: bool


class Facts(msgspec.Struct, frozen=True):
    """Everything from outside that settings depend on.

    Attributes:
        source: absolute path of the main configuration file.
        now: time for validity of certificates, with time zone.
        identity: name found for this machine, used when none is configured; empty when nothing was found.
        certname: certificate name given by the environment, empty when there is none.
        ssldir: directory of puppet's TLS files, used when none is configured; None when it was not found.
        srv: answer about cluster peers, None when it was not asked.
        domain: where SRV records are asked for, empty when it is not known or nobody asks for any.
        no_domain: True when SRV records were wanted and no domain to ask in was known.
        addresses: IP addresses of peers by host name; a missing or empty entry is an unknown name.
        local_addresses: which of these addresses belong to this machine.
        bindable: what this host can bind of each listen address; one that is not here was not tried.
        files: content of files the configuration names.
        groups: the same files, by what belongs together; no file is in two of them.
        store_problem: why the store of Choria Streams cannot be written, empty when it can.
        operator_store: store of the operator that is configured, None when there is none.
    """

    source: Path
    now: dt.datetime
    identity: str = ""
    certname: str = ""
    ssldir: Path | None = None
    srv: SrvAnswer | None = None
    domain: str = ""
    no_domain: bool = False
    addresses: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    local_addresses: frozenset[str] = frozenset()
    bindable: Mapping[str, Bindable] = msgspec.field(default_factory=dict)
    files: Mapping[Path, FileFact] = msgspec.field(default_factory=dict)
    groups: tuple[FileGroup, ...] = ()
    store_problem: str = ""
    operator_store: StoreFact | None = None

    def file(self, path: Path) -> FileFact:
        """Return what is known of a file; one that nobody looked at counts as missing."""
        return self.files.get(path, FileFact(problem="no such file or directory"))
