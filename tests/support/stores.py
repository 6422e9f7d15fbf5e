"""Stores of operators: the one that nsc wrote, and others that tests make and change."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from choria_broker.engine.bridge import login_with
from choria_broker.host.facts import StoreFact
from choria_broker.host.files import read_store
from support.nats_server import Signer, User
from support.scenario import Result, net

WRITTEN_BY_NSC = Path(__file__).parents[1] / "vectors" / "operator" / "OPS"
"""Accounts SYS, ACME, GLOBEX and FLEET; only signing keys sign, FLEET has JetStream, ACME exports to GLOBEX."""

UNLIMITED = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1) | {"wildcards": True}
STREAMS = UNLIMITED | {"mem_storage": 2**20, "disk_storage": 2**24, "streams": 8, "consumer": 20}


def copy_of_nscs(folder: Path) -> Path:
    """Put the store that nsc wrote beside the configuration file in a folder, and return its directory."""
    directory = folder / "accounts" / "nats" / "OPS"
    shutil.copytree(WRITTEN_BY_NSC, directory)
    for path in (directory, *directory.rglob("*")):
        _closed(path)
    return directory


def _closed(path: Path) -> Path:
    """Let nobody but the owner write here, whatever the umask is."""
    path.chmod(path.stat().st_mode & ~0o022)
    return path


def credentials(directory: Path, account: str) -> dict[str, Any]:
    """Return the options that have a client log in with the credentials that a store has for an account."""
    return {**login_with(directory / "creds" / account / "broker.creds")}


def signed(signer: Signer, subject: Signer, name: str, kind: str, **claims: Any) -> str:
    """Write a token; ``exp``, ``nbf`` and ``own`` are claims of the token itself, others those of its kind."""
    own = {key: claims.pop(key) for key in ("exp", "nbf") if key in claims} | claims.pop("own", {})
    body = {"jti": name, "iat": 1_700_000_000, "iss": signer.public, "name": name, "sub": subject.public} | own
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    parts = (head, body | {"nats": {"type": kind, "version": 2} | claims})
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64url(base64.b64decode(signer.sign(text)))}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Store:
    """A store under construction beside a configuration file, laid out as nsc does it.

    Attributes:
        directory: of the store.
        key: of the operator.
    """

    def __init__(self, folder: Path, name: str = "OPS", *accounts: str, **claims: Any) -> None:
        """Write an operator with account SYS, its system account, and further ones.

        Args:
            folder: of the configuration file.
            name: of the operator.
            accounts: names of further accounts, without limits.
            claims: of the operator.
        """
        self.directory = folder / "accounts" / "nats" / name
        (self.directory / "accounts").mkdir(parents=True)
        for path in (self.directory, self.directory / "accounts"):
            _closed(path)
        self.key = Signer("operator")
        self._accounts: dict[str, Signer] = {}
        for account in ("SYS", *accounts):
            self.account(account)
        self.operator(**({"system_account": self.public("SYS")} | claims))

    def public(self, account: str) -> str:
        """Return the public key of an account."""
        return self._accounts[account].public

    def operator(self, signer: Signer | None = None, **claims: Any) -> None:
        """Write the operator anew."""
        token = signed(signer or self.key, self.key, self.directory.name, "operator", **claims)
        path = self.directory / f"{self.directory.name}.jwt"
        path.write_text(token, encoding="ascii")
        _closed(path)

    def account(self, name: str, signer: Signer | None = None, **claims: Any) -> Path:
        """Write an account anew, without limits when nothing else is claimed, and return its file."""
        key = self._accounts.setdefault(name, Signer("account"))
        token = signed(signer or self.key, key, name, "account", **({"limits": UNLIMITED} | claims))
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(token, encoding="ascii")
        return path

    def file(self, account: str) -> Path:
        """Return the file of an account."""
        return self.directory / "accounts" / account / f"{account}.jwt"

    def remove(self, account: str) -> None:
        """Remove an account; its key is kept, so that it can come back."""
        shutil.rmtree(self.file(account).parent)

    def user(self, account: str, signer: Signer | None = None, **claims: Any) -> User:
        """Make a user of an account."""
        key = Signer("user")
        unlimited = {"subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        by = signer or self._accounts[account]
        return User(signed(by, key, f"user of {account}", "user", **(unlimited | claims)), key)

    def login(self, account: str, signer: Signer | None = None, **claims: Any) -> dict[str, Any]:
        """Return the options that have a client log in as a new user of an account."""
        return {**self.user(account, signer, **claims).login()}

    def credentials(self, account: str, **claims: Any) -> Path:
        """Write a credentials file for the broker."""
        path = self.directory / "creds" / account / "broker.creds"
        path.parent.mkdir(parents=True, exist_ok=True)
        return self.user(account, **claims).credentials(path)


def resolved(store: Path | StoreFact, *lines: str) -> Result:
    """Find out what a configuration in operator mode means, with a store and further lines."""
    fact = read_store(store) if isinstance(store, Path) else store
    return net("operator_account = OPS", *lines, facts={"operator_store": fact})
