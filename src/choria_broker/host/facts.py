"""What was found out about files and this host, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from choria_broker.values import Discreet


class Mark(msgspec.Struct, frozen=True):
    """What a change of a file shows by, whether it is written over, replaced, or a symbolic link leads elsewhere.

    Attributes:
        device, inode: which file it is, in the end.
        size: in bytes.
        modified: when its content was last written, in nanoseconds.
        changed: when it, or who may read it, was last changed, in nanoseconds.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class FileFact(Discreet, frozen=True):
    """A file that was looked at: its content, or why there is none. The content may be a private key.

    Attributes:
        content: all bytes, empty when it could not be read.
        problem: the operating system's words, such as ``no such file or directory``; empty when it was read.
        missing: there is no such file, as opposed to one that cannot be read.
        mark: of the file that was read; None when there was none.
    """

    content: bytes = b""
    problem: str = ""
    missing: bool = False
    mark: Mark | None = None

    def __repr__(self) -> str:
        """Write the size or the problem."""
        return f"FileFact({self.problem or f'{len(self.content)} bytes'})"


class ProcessUse(msgspec.Struct, frozen=True):
    """What one process uses.

    Attributes:
        cpu: seconds of a core since it started; None when that is not known.
        memory: resident bytes, 0 when that is not known.
    """

    cpu: float | None = None
    memory: int = 0


class HostUse(msgspec.Struct, frozen=True):
    """What the processes of a broker use of what the host gives them.

    Attributes:
        descriptors: open files of the engine.
        descriptors_limit: how many it can have; None when that is not known.
        memory_limit: bytes that their group, or the machine, has.
        broker, engine: the two processes.
    """

    descriptors: int
    descriptors_limit: int | None
    memory_limit: int
    broker: ProcessUse = ProcessUse()
    engine: ProcessUse = ProcessUse()

    @property
    def memory(self) -> int:
        """Resident bytes of both processes."""
        return self.broker.memory + self.engine.memory


class StoreFact(msgspec.Struct, frozen=True):
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
    accounts: Mapping[str, FileFact] = msgspec.field(default_factory=dict)
    credentials: Mapping[str, Mapping[Path, FileFact]] = msgspec.field(default_factory=dict)
    modes: Mapping[Path, int] = msgspec.field(default_factory=dict)
    problem: str = ""


class Bindable(msgspec.Struct, frozen=True):
    """What of a listen address this host can bind.

    Attributes:
        addresses: IP addresses that can be bound, IPv4 first as the engine prefers it; empty when there is none.
        lacking: further addresses the text stands for, which this host does not have.
        problem: why nothing can be bound, empty otherwise.
    """

    addresses: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    problem: str = ""


class HostLimits(msgspec.Struct, frozen=True):
    """Limits of this host, None where one is not known or there is none.

    Attributes:
        open_files: most open files that a process started from here can have.
        somaxconn: most connections of a listener that wait to be accepted, ``net.core.somaxconn``.
        syn_backlog: most connections of a listener that are half open, ``net.ipv4.tcp_max_syn_backlog``.
    """

    open_files: int | None = None
    somaxconn: int | None = None
    syn_backlog: int | None = None
