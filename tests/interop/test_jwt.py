"""Keys and tokens: those made here are good for the real choria program, and those it makes are good here."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.security.issuing import Birth, ClientGrant, ServerGrant
from choria_broker.security.signing import signing_key_from_file
from choria_broker.security.tokens import Envelope, open_envelope, verify
from choria_broker.security.tokens_claims import Claims, ClientClaims, ServerClaims, claims_of
from support.minting import chain_issued

DEADLINE = 30.0
ALL_CLIENT_FLAGS = (
    *("--stream-admin", "--stream-user", "--event-viewer", "--elections-user", "--service", "--system"),
    *("--auth-delegation", "--signed-fleet-management", "--server-provisioner", "--governor", "--org-admin"),
    *("--agents", "rpcutil", "--agents", "package", "--opa", "package x", "--org", "other", "--validity", "30d"),
    *("--publish", "a.b", "--publish", "c.>", "--subscribe", "d.>"),
)
TOKENS = {
    "client": ("client", "FILE", "up=bob", "org.seed", "--public-key", "HOLDER"),
    "full-client": ("client", "FILE", "up=bob", "org.seed", "--public-key", "HOLDER", *ALL_CLIENT_FLAGS),
    "chain-issuer": ("client", "FILE", "login", "org.seed", "--public-key", "HOLDER", "--issuer"),
    "server": ("server", "FILE", "node1.example.net", "HOLDER", "org.seed"),
    "full-server": (
        *("server", "FILE", "node1.example.net", "HOLDER", "org.seed"),
        *("--collectives", "a", "--collectives", "b", "--submission", "--stream-user", "--service", "--governor"),
        *("--subjects", "x.y", "--org", "other", "--validity", "1y"),
    ),
    "provisioning": ("provisioning", "FILE", "org.seed", "--token", "s3cret", "--urls", "a:1"),
    "full-provisioning": (
        *("provisioning", "FILE", "org.seed", "--token", "s3cret", "--urls", "a:1", "--urls", "b:2"),
        *("--srv", "example.net", "--no-insecure", "--default", "--registration", "/r", "--facts", "/f"),
        *("--username", "u", "--password", "p", "--extensions", '{"a":{"b":[1,"x"]}}', "--protocol-v2", "--upgrade"),
    ),
}
CHANGING = {"iat", "nbf", "exp", "jti", "tcs"}


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """The two programs, in one folder.

    Attributes:
        choria: the real program.
        folder: where the files are.
    """

    choria: Path
    folder: Path

    def theirs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``choria jwt``."""
        return self._run(self.choria, *arguments)

    def ours(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``choria-broker jwt``."""
        return self._run(Path(sys.executable).parent / "choria-broker", *arguments)

    def text(self, name: str) -> str:
        """Read a file."""
        return (self.folder / name).read_text()

    def arguments(self, kind: str, file: str) -> list[str]:
        """Write the arguments that make a token of a kind."""
        filled = {"FILE": file, "HOLDER": self.text("u.pub")}
        return [filled.get(part, part) for part in TOKENS[kind]]

    def _run(self, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - programs under test with fixed arguments
            [program, "jwt", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )


@pytest.fixture
def pair(choria: Path, tmp_path: Path) -> Pair:
    """Both programs, an organization whose keys they made, and a holder whose keys we made."""
    made = Pair(choria, tmp_path)
    assert made.theirs("keys", "org.seed", "org.pub").returncode == 0
    assert made.ours("keys", "u.seed", "u.pub").returncode == 0
    return made


def opened(text: str) -> Envelope:
    envelope = open_envelope(text)
    assert isinstance(envelope, Envelope)
    return envelope


def believed(pair: Pair, file: str) -> Claims:
    envelope = opened(pair.text(file))
    kind = claims_of(envelope.payload)
    assert kind
    organization = signing_key_from_file(pair.text("org.seed").encode()).public_key()
    claims = verify(envelope, kind, [organization], time.time())
    assert isinstance(claims, Claims), claims
    return claims


def test_both_read_the_keys_of_the_other(pair: Pair) -> None:
    for seed, public in (("org.seed", "org.pub"), ("u.seed", "u.pub")):
        shown = f"Public Key: {pair.text(public)}\n"
        assert pair.theirs("keys", "--show-public", seed).stdout == shown
        assert pair.ours("keys", "--show-public", seed).stdout == shown


@pytest.mark.parametrize("kind", TOKENS)
def test_both_make_the_same_tokens(pair: Pair, kind: str) -> None:
    for run, file in ((pair.theirs, "theirs.jwt"), (pair.ours, "ours.jwt")):
        made = run(*pair.arguments(kind, file))
        assert made.returncode == 0, made.stderr
        assert f"Saved token to {file}, use " in made.stdout
        assert (pair.folder / file).stat().st_mode & 0o777 == 0o600
    theirs, ours = (opened(pair.text(file)).payload for file in ("theirs.jwt", "ours.jwt"))
    assert {name: theirs[name] for name in theirs if name not in CHANGING} == {
        name: ours[name] for name in ours if name not in CHANGING
    }
    assert set(theirs) == set(ours)
    assert _seconds(theirs) == _seconds(ours)


def _seconds(payload: object) -> int:
    assert isinstance(payload, dict)
    assert payload["nbf"] == payload["iat"]
    return int(payload["exp"]) - int(payload["iat"])


@pytest.mark.parametrize("kind", TOKENS)
def test_they_accept_ours(pair: Pair, kind: str) -> None:
    assert pair.ours(*pair.arguments(kind, "t.jwt")).returncode == 0
    view = pair.theirs("view", "t.jwt", "org.pub")
    assert view.returncode == 0, view.stderr
    assert view.stdout.startswith("Validated ")
    purpose = kind.rpartition("-")[2].replace("issuer", "client")
    options = ["--purpose", purpose, "--issuer", pair.text("org.pub")]
    if purpose == "client":
        options += ["--chain-issuer"] if kind == "chain-issuer" else ["--no-chain-issuer"]
    check = pair.theirs("check", "t.jwt", *options)
    assert check.stdout.startswith(f"OK t.jwt OK:{purpose} token | expires=")
    assert check.returncode == 0


@pytest.mark.parametrize("kind", TOKENS)
def test_we_accept_theirs(pair: Pair, kind: str) -> None:
    assert pair.theirs(*pair.arguments(kind, "t.jwt")).returncode == 0
    believed(pair, "t.jwt")
    view = pair.ours("view", "t.jwt", "org.pub")
    assert view.returncode == 0, view.stderr
    assert view.stdout.splitlines()[0] == pair.theirs("view", "t.jwt", "org.pub").stdout.splitlines()[0]
    purpose = kind.rpartition("-")[2].replace("issuer", "client")
    options = ["--purpose", purpose, "--issuer", pair.text("org.pub")]
    if kind == "chain-issuer":
        options.append("--chain-issuer")
    check = pair.ours("check", "t.jwt", *options)
    assert check.stdout.startswith(f"OK t.jwt OK:{purpose} token | expires=")
    assert check.returncode == 0


@pytest.mark.parametrize("kind", TOKENS)
def test_both_show_the_same_fields(pair: Pair, kind: str) -> None:
    assert pair.theirs(*pair.arguments(kind, "t.jwt")).returncode == 0
    theirs, ours = (_fields(run("view", "t.jwt").stdout) for run in (pair.theirs, pair.ours))
    # The length of time left goes on, the chain is in our own words, and we also show the beginning, and
    # the organization of provisioning.
    differing = {"Expires At", "Trust Chain"}
    assert set(theirs) <= set(ours)
    assert set(ours) - set(theirs) <= {"Organization Unit", "Valid From"}
    assert {name: theirs[name] for name in theirs if name not in differing} == {
        name: ours[name] for name in theirs if name not in differing
    }
    assert theirs["Expires At"].split(" (")[0] == ours["Expires At"].split(" (")[0]
    assert json.loads(pair.theirs("view", "--json", "t.jwt").stdout) == json.loads(
        pair.ours("view", "--json", "t.jwt").stdout
    )


def _fields(text: str) -> dict[str, str]:
    rows = (line.partition(": ") for line in text.splitlines() if '"' not in line)
    return {label.strip(): value for label, colon, value in rows if colon}


def test_they_accept_what_our_chain_issuer_makes(pair: Pair) -> None:
    assert pair.ours(*pair.arguments("chain-issuer", "issuer.jwt")).returncode == 0
    key = signing_key_from_file(pair.text("u.seed").encode())
    login = believed(pair, "issuer.jwt")
    assert isinstance(key, Ed25519PrivateKey)
    assert isinstance(login, ClientClaims)
    now = int(time.time())
    holder = pair.text("org.pub")  # Any key will do for a holder.
    grants: tuple[tuple[ClientGrant | ServerGrant, type[Claims], str], ...] = (
        (ClientGrant(caller="up=bob", public_key=holder), ClientClaims, "client"),
        (ServerGrant(identity="node1", public_key=holder, collectives=["choria"]), ServerClaims, "server"),
    )
    for number, (grant, kind, word) in enumerate(grants):
        (pair.folder / "t.jwt").write_text(chain_issued(grant, login, key, Birth(now, now + 600, bytes([number] * 16))))
        assert isinstance(believed(pair, "t.jwt"), kind)
        view = pair.theirs("view", "t.jwt", "org.pub")
        assert view.stdout.startswith("Validated "), view.stderr
        assert f"Issued by {login.token_id}" in view.stdout
        check = pair.theirs("check", "t.jwt", "--issuer", pair.text("org.pub"))
        assert check.stdout.startswith(f"OK t.jwt OK:{word} token")


@pytest.mark.parametrize("form", ["nagios", "json", "prometheus"])
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--identity", "up=alice", "--client-opa", "--sub", "x"],
        ["--validity-min", "2h"],
        ["--query", 'callerid == "up=bob" and not (ou in ["x"])'],
        ["--query", 'ou == "x"'],
    ],
    ids=" ".join,
)
def test_both_check_alike(pair: Pair, form: str, options: list[str]) -> None:
    assert pair.theirs("client", "t.jwt", "up=bob", "org.seed").returncode == 0
    theirs, ours = (run("check", "t.jwt", "--format", form, *options) for run in (pair.theirs, pair.ours))
    assert theirs.returncode == ours.returncode
    assert _without_time(theirs.stdout, form) == _without_time(ours.stdout, form)


def _without_time(output: str, form: str) -> object:
    if form == "json":
        document = json.loads(output)
        assert isinstance(document["perf_data"][0].pop("value"), float)
        for message in document.get("critical", []):
            assert message
        document["critical"] = [message.partition(" in ")[0] for message in document.get("critical", [])]
        return document
    if form == "prometheus":
        return [line.partition("} ")[0] for line in output.splitlines() if line and not line.startswith("#")]
    return output.partition(" in ")[0].partition("=")[0]
