"""What is said about certificates, keys and CAs is what Go's own TLS makes of them: it gets the same files."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import os
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hatch_build import usable_go

from choria_broker.security import pem
from choria_broker.security.tls_files import check_host, inspect, load
from choria_broker.security.verifier import Use
from support.certificate_cases import CASES, Case
from support.certificates import (
    ANY,
    CLIENT,
    DAY,
    HOST,
    NOW,
    SERVER,
    STRANGE,
    Made,
    authority,
    broker,
    issue,
    key,
    key_usage,
)

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "goverify"
Ask = Callable[[Sequence[Case]], list["Answer"]]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What Go says about a case; empty texts where there is no trouble."""

    pair: str
    cas: int
    blocks: list[str]
    host: str
    server: str
    client: str
    server12: str


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Build the program that asks Go."""
    go = usable_go(ROOT)
    assert go is not None
    program = tmp_path_factory.mktemp("goverify") / "goverify"
    environment = dict(os.environ) | {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    subprocess.run([go, "build", "-o", program, "."], cwd=PROGRAM, env=environment, check=True)  # noqa: S603 - ours

    def answers(cases: Sequence[Case]) -> list[Answer]:
        questions: list[dict[str, Any]] = [
            {
                "certificate": base64.b64encode(case.certificate).decode(),
                "key": base64.b64encode(case.key).decode(),
                "ca": base64.b64encode(case.ca).decode(),
                "host": case.host,
                "now": int(NOW.timestamp()),
            }
            for case in cases
        ]
        text = json.dumps(questions).encode()
        done = subprocess.run([program], input=text, capture_output=True, check=True)  # noqa: S603 - ours
        return [Answer(**{**each, "blocks": each["blocks"] or []}) for each in json.loads(done.stdout)]

    return answers


def fatal(case: Case, use: Use) -> list[str]:
    found = inspect(case.certificate, case.key, case.ca, NOW, "", use)
    return [f"{problem.code}: {problem.problem}" for problem in found if problem.fatal]


def differences(case: Case, answer: Answer) -> list[str]:
    """List where we and Go differ."""
    no_ca = "no CA" if not answer.cas else ""
    ours = {
        "server": bool(fatal(case, Use.SERVER)),
        "client": bool(fatal(case, Use.CLIENT)),
        "kinds of blocks": [block.kind for block in pem.blocks(case.certificate)],
    }
    theirs = {
        "server": bool(answer.pair or no_ca or answer.server),
        "client": bool(answer.pair or no_ca or answer.client),
        "kinds of blocks": answer.blocks,
    }
    chain = load(case.certificate)
    if chain and not answer.pair:
        ours["host"] = bool(list(check_host(chain[0], case.host, "")))
        theirs["host"] = bool(answer.host)
    return [f"{what}: {ours[what]}, Go {theirs[what]} ({answer})" for what in ours if ours[what] != theirs[what]]


def test_the_cases_that_are_written_down(ask: Ask) -> None:
    answers = ask(list(CASES.values()))
    found = {name: differences(case, answer) for (name, case), answer in zip(CASES.items(), answers, strict=True)}
    assert {name: each for name, each in found.items() if each} == {}
    # Each kind of key works with TLS 1.2 as with TLS 1.3.
    assert [name for name, answer in zip(CASES, answers, strict=True) if not answer.server and answer.server12] == []


NAMES = (
    x509.DNSName(HOST),
    x509.DNSName("example.net"),
    x509.DNSName("*.example.net"),
    x509.DNSName("a.b.example.net"),
    x509.DNSName(".example.net"),
    x509.DNSName("BROKER.example.NET"),
    x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    x509.UniformResourceIdentifier("https://broker.example.net:8443/x"),
    x509.RFC822Name("bob@example.net"),
)
SUBTREES = (
    x509.DNSName("example.net"),
    x509.DNSName(".example.net"),
    x509.DNSName("b.example.net"),
    x509.DNSName("NET"),
    x509.DNSName(HOST),
    x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")),
    x509.IPAddress(ipaddress.ip_network("2001:db8::/32")),
    x509.UniformResourceIdentifier("example.net"),
    x509.RFC822Name("example.net"),
    x509.RFC822Name("bob@example.net"),
)
POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])


def one(chance: random.Random, issuer: Made | None, name: str, number: int, *, leaf: bool) -> Made:
    """Issue a certificate that is good more often than not."""

    def seldom(odds: float = 0.12) -> bool:
        return chance.random() < odds

    extensions: list[x509.ExtensionType] = []
    if seldom(0.3):
        extensions.append(key_usage(signs=not seldom()))
    if not leaf and seldom(0.25):
        trees = chance.sample(SUBTREES, chance.randint(1, 2))
        extensions.append(
            x509.NameConstraints(trees, None) if chance.random() < 0.6 else x509.NameConstraints(None, trees)
        )
    if seldom(0.05):
        extensions.append(STRANGE)
    if seldom(0.1):
        extensions.append(POLICY)
    if not leaf and seldom(0.1):
        extensions.append(x509.PolicyConstraints(chance.randint(0, 1), None))
    ca: bool | None = None if (leaf or seldom(0.06)) else not seldom(0.06)
    ends = chance.choice([-1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    return issue(
        name,
        issuer,
        *extensions,
        private=key(number),
        ca=ca,
        length=chance.randint(0, 1) if ca and seldom(0.3) else None,
        usages=tuple(chance.sample((SERVER, CLIENT, ANY), chance.randint(1, 2))) if seldom(0.3) else (),
        names=tuple(chance.sample(NAMES, chance.randint(1, 2))) if leaf and not seldom() else (),
        critical=chance.random() < 0.5,
        end=NOW + ends * DAY,
    )


def some_chain(chance: random.Random) -> Case:
    roots = [one(chance, None, chance.choice(["root", "other"]), number, leaf=False) for number in (1, 2)]
    issuer, below = roots[0], []
    for number in range(3, 3 + chance.randint(0, 2)):
        issuer = one(chance, issuer, f"ca{chance.randint(1, 2)}", number, leaf=False)
        below.append(issuer)
    leaf = one(chance, issuer, HOST, 9, leaf=True)
    sent = [each.pem for each in reversed(below) if chance.random() < 0.9]
    if chance.random() < 0.3:
        chance.shuffle(sent)
    trusted = [each.pem for each in (*roots, *below) if chance.random() < (0.8 if each in roots else 0.15)]
    chance.shuffle(trusted)
    if chance.random() < 0.04:
        trusted.append(leaf.pem)
    host = chance.choice([HOST, HOST, "a.example.net", "10.0.0.1", "2001:db8::1", "example.net."])
    return Case(leaf.pem + b"".join(sent), leaf.key_pem, b"".join(trusted), host=host)


def test_chains_of_all_kinds(ask: Ask) -> None:
    seed = int(os.environ.get("CHAIN_SEED", "10"))
    chance = random.Random(seed)  # noqa: S311 - for tests
    cases = [some_chain(chance) for _ in range(150 * int(os.environ.get("FUZZ_FACTOR", "1")))]
    answers = ask(cases)
    for number, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        assert differences(case, answer) == [], f"seed {seed}, chain {number}: {fatal(case, Use.SERVER)}"
    good = sum(not answer.server for answer in answers)
    assert len(cases) / 5 < good < len(cases) * 4 / 5


def some_file(chance: random.Random, whole: bytes) -> bytes:
    """Write PEM as people and programs mangle it."""
    lines = whole.split(b"\n")
    for _ in range(chance.randint(0, 3)):
        place = chance.randrange(len(lines))
        line = lines[place]
        lines[place] = chance.choice(
            [
                b" " + line,
                line + b" ",
                line + b"\t\r",
                line + b"\r",
                b"",
                line[:-1],
                line + line,
                line + b"\n" + line,
                b"x" + line,
                line + b"=",
                b"Proc-Type: 4,ENCRYPTED\n" + line,
                b"-----BEGIN CERTIFICATE-----",
                b"-----END CERTIFICATE-----",
                line.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
                line.replace(b"-----", b"----"),
                b"\xff" + line,
                line.lower(),
            ]
        )
    text = b"\n".join(lines)
    return chance.choice([text, text, text, text, b"\xef\xbb\xbf" + text, b"\n" + text, text.rstrip(), b"x\n" + text])


def test_files_of_all_kinds(ask: Ask) -> None:
    chance = random.Random(int(os.environ.get("CHAIN_SEED", "10")))  # noqa: S311 - for tests
    middle = authority("middle", authority())
    leaf = broker(middle)
    cases = [
        Case(some_file(chance, leaf.pem + middle.pem), leaf.key_pem, middle.pem)
        for _ in range(300 * int(os.environ.get("FUZZ_FACTOR", "1")))
    ]
    for case, answer in zip(cases, ask(cases), strict=True):
        ours = [block.kind for block in pem.blocks(case.certificate)]
        assert ours == answer.blocks, case.certificate.decode(errors="replace")
        if answer.pair:
            assert fatal(case, Use.SERVER), (answer.pair, case.certificate.decode(errors="replace"))
