"""How listeners and links use TLS, and the files of one TLS identity."""

from __future__ import annotations

import enum
from pathlib import Path

import msgspec


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files that make up one TLS identity.

    Attributes:
        certificate: PEM chain, leaf first.
        key: PEM private key.
        ca: PEM bundle of trusted CAs, None when there is none.
    """

    certificate: Path
    key: Path
    ca: Path | None


class KeyProcesses(enum.StrEnum):
    """Which private keys of TLS are held by key processes, and not by the engine."""

    AUTO = "auto"
    """RSA keys, which sign faster there."""
    ALWAYS = "always"
    """Keys of every kind."""
    NEVER = "never"
    """None."""


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """How listeners and outgoing links use TLS.

    Attributes:
        enabled: TLS on the client port (``isTLS``).
        everywhere: TLS on websocket, leafnode, route and gateway ports; differs from ``enabled`` only with
            ``--disable-tls`` and ``client_tls_force_required``.
        verify_clients: client certificates are verified when presented; False: never requested.
        files: certificate, key and CA of the security provider; None only when TLS is off altogether.
        cipher_suites: IANA names, empty for the library's own choice.
        curves: curve names as nats-server spells them, empty for the library's own choice.
        handshake_timeout: seconds.
        key_processes: which keys are held by key processes.
        outside: files of the keys that are.
    """

    enabled: bool
    everywhere: bool
    verify_clients: bool
    files: TlsFiles | None
    cipher_suites: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    handshake_timeout: float = 2.0
    key_processes: KeyProcesses = KeyProcesses.AUTO
    outside: frozenset[Path] = frozenset()


class RemoteTls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS of one gateway or leafnode remote where it differs from the broker's.

    Attributes:
        certificate, key, ca: own files; all None means the broker's files.
        verify: verify the other side's certificate.
        disabled: clear text to this remote.
    """

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    verify: bool = True
    disabled: bool = False

    @property
    def custom(self) -> bool:
        """True when any own file is given."""
        return any((self.certificate, self.key, self.ca))
