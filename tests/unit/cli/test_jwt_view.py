"""``jwt view``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from choria_broker.security.token_permissions import ClientPermission, ServerPermission
from choria_broker.settings import durations
from support.jwt_bench import Bench
from support.minting import (
    CHAIN_ISSUER,
    HOLDER,
    NOW,
    ORGANIZATION,
    RSA,
    STRANGER,
    VECTORS,
    chained,
    client,
    hex_of,
    ksuid,
    mint,
    provisioning,
    server,
)

MD5_OF_ALICE = "9ff94a8781520105e44481be68e5d47f"


@pytest.fixture(autouse=True)
def _fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW))


def shown(bench: Bench, token: str, *more: str, status: int = 0) -> str:
    (bench.folder / "t.jwt").write_text(token + "\n")
    result = bench.run("view", "t.jwt", *more)
    assert result.exit_code == status, result.output
    assert token not in result.output
    assert token.split(".")[2] not in result.output
    return result.stdout


def test_client_layout(bench: Bench) -> None:
    claims = client(
        agents=["rpcutil", "package"],
        permissions={"streams_user": True, "fleet_management": True},
        pub_subjects=["a.b"],
        sub_subjects=["c", "d e"],
        opa_policy="package x\ndefault allow = false",
        user_properties={"team": "night"},
    )
    assert shown(bench, mint(claims)) == (
        "Unvalidated Client Identification Token t.jwt\n"
        "\n"
        "          Caller ID: up=alice\n"
        "  Organization Unit: choria\n"
        "     Allowed Agents: rpcutil, package\n"
        f"         Public Key: {hex_of(HOLDER)}\n"
        f" Private Network ID: {MD5_OF_ALICE}\n"
        "         Valid From: 2027-01-15 07:59:00 +0000 UTC\n"
        "         Expires At: 2027-01-15 09:00:00 +0000 UTC (1h0m0s)\n"
        " Subscribe Subjects: c, d e\n"
        "   Publish Subjects: a.b\n"
        "\n"
        " Client Permissions:\n"
        "\n"
        "      Can manage Choria fleet nodes\n"
        "      Can use Choria Streams\n"
        "\n"
        "    User Properties: {\n"
        '                       "team": "night"\n'
        "                     }\n"
        "         OPA Policy: package x\n"
        "                     default allow = false\n"
    )


def test_server_layout(bench: Bench) -> None:
    claims = server(permissions=dict.fromkeys(ServerPermission, True), pub_subjects=["a.b"], collectives=["a", "b"])
    assert shown(bench, mint(claims)) == (
        "Unvalidated Server Token t.jwt\n"
        "\n"
        "             Identity: node1.example.net\n"
        "           Valid From: 2027-01-15 07:59:00 +0000 UTC\n"
        "           Expires At: 2027-01-15 09:00:00 +0000 UTC (1h0m0s)\n"
        "          Collectives: a, b\n"
        f"           Public Key: {hex_of(HOLDER)}\n"
        "    Organization Unit: choria\n"
        "  Additional Subjects: a.b\n"
        "   Private Network ID: 17bcfb8c80731d07482059628cf13848\n"
        "\n"
        "   Broker Permissions:\n"
        "\n"
        "          Can host services\n"
        "          Can publish Choria Submission messages\n"
        "          Can use Choria Streams\n"
        "          Can use Choria Governors\n"
        "\n"
    )


def test_provisioning_layout_hides_secrets(bench: Bench) -> None:
    claims = provisioning(cht="s3cret", chusr="u", chpwd="passw0rd", chpd=True, v2=True, extensions={"a": 1})
    output = shown(bench, mint(claims))
    assert "s3cret" not in output
    assert "passw0rd" not in output
    assert output.startswith(
        "Unvalidated Provisioning Token t.jwt\n"
        "\n"
        "                    Valid From: 2027-01-15 07:59:00 +0000 UTC\n"
        "                    Expires At: 2027-01-15 09:00:00 +0000 UTC (1h0m0s)\n"
        "                         Token: *****\n"
        "                        Secure: true\n"
        "                          URLS: broker.example.net:4222\n"
        "       Provisioning by default: true\n"
        "               Broker Username: u\n"
        "               Broker Password: *****\n"
        "             Organization Unit: choria\n"
        "      Using version 2 Protocol: true\n"
        "       Server Version Upgrades: false\n"
        "                    Extensions: {\n"
        '                                  "a": 1\n'
        "                                }\n"
        "               Standard Claims: {\n"
        '                                  "purpose": "choria_provisioning",\n'
    )


def test_an_early_provisioning_token_has_only_a_subject(bench: Bench) -> None:
    assert "Provisioning Token" in shown(bench, mint(provisioning(purpose=None)))


@pytest.mark.parametrize(
    ("token", "title"),
    [
        (mint(client()), "Validated Client Identification Token"),
        (mint(server()), "Validated Server Token"),
        (mint(provisioning()), "Validated Provisioning Token"),
        (mint(chained(client()), CHAIN_ISSUER), "Validated Client Identification Token"),
        (mint(chained(server()), CHAIN_ISSUER), "Validated Server Token"),
    ],
    ids=["client", "server", "provisioning", "chained client", "chained server"],
)
@pytest.mark.parametrize("form", ["hex", "file"])
def test_verifies_with_a_key(bench: Bench, token: str, title: str, form: str) -> None:
    (bench.folder / "issuer.pub").write_text(hex_of(ORGANIZATION) + "\n")
    output = shown(bench, token, "issuer.pub" if form == "file" else hex_of(ORGANIZATION))
    assert output.startswith(f"{title} t.jwt\n")


@pytest.mark.parametrize("name", ["rsa_cert.pem", "rsa_public.pem"])
def test_verifies_with_an_rsa_key(bench: Bench, name: str) -> None:
    assert shown(bench, mint(client(), RSA), str(VECTORS / "keys" / name)).startswith("Validated")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (mint(client(), STRANGER), "not made by a trusted key"),
        (mint(client(exp=NOW - 1)), "the token expired 2027-01-15T07:59:59Z"),
        (mint(client(nbf=NOW + 61)), "valid only from"),
        (mint(client(public_key=None)), "claim public_key is missing"),
        (mint(chained(client(), organization=STRANGER), CHAIN_ISSUER), "no trusted key has signed for"),
        (mint({"purpose": "other"}), "leave out the public key"),
    ],
    ids=["stranger", "expired", "early", "no key", "forged chain", "purpose"],
)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_tokens_that_do_not_verify(bench: Bench, token: str, reason: str, form: list[str]) -> None:
    (bench.folder / "t.jwt").write_text(token)
    sentence = bench.fails("view", "t.jwt", hex_of(ORGANIZATION), *form)
    assert reason in sentence
    assert "t.jwt" in sentence


def test_json_has_everything_sorted(bench: Bench) -> None:
    claims = provisioning(cht="s3cret")
    output = shown(bench, mint(claims), "--json")
    assert output == json.dumps(claims, indent=2, sort_keys=True) + "\n"


def test_unknown_purpose_is_shown_as_json(bench: Bench) -> None:
    assert shown(bench, mint({"purpose": "x", "b": 1})) == '{\n  "b": 1,\n  "purpose": "x"\n}\n'


@pytest.mark.parametrize("name", [["view"], ["show"], ["v"], ["s"], []], ids=str)
def test_names_of_the_command(bench: Bench, name: list[str]) -> None:
    (bench.folder / "t.jwt").write_text(mint(client()))
    assert bench.run(*name, "t.jwt").stdout.startswith("Unvalidated")
    assert bench.run(*name, "--json", "t.jwt").stdout.startswith("{")


@pytest.mark.parametrize(
    ("changes", "line", "status"),
    [
        ({"exp": NOW + 59}, "2027-01-15 08:00:59 +0000 UTC (59.00s)", 0),
        ({"exp": NOW - 100}, "2027-01-15 07:58:20 +0000 UTC (expired 1m40s ago)", 1),
        ({"exp": NOW}, "2027-01-15 08:00:00 +0000 UTC (expired 0.00s ago)", 1),
        ({"exp": None}, "never", 0),
        ({"exp": 10**15}, f"not a valid date ({durations.for_people(10**15 - NOW)})", 0),
    ],
    ids=["seconds", "expired", "now", "never", "far"],
)
def test_expiry_in_words(bench: Bench, changes: dict[str, Any], line: str, status: int) -> None:
    assert f"         Expires At: {line}\n" in shown(bench, mint(client(**changes)), status=status)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00s"),
        (58.284, "58.28s"),
        (60, "1m0s"),
        (3599.9, "59m59s"),
        (86_400 * 9 + 86_398, "9d23h59m58s"),
        (86_400 * 800 - 2, "2y69d23h59m58s"),
        (365 * 86_400, "1y0d0h0m0s"),
    ],
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert durations.for_people(seconds) == text


def test_chain_in_words(bench: Bench) -> None:
    output = shown(bench, mint(chained(client()), CHAIN_ISSUER))
    issuer_id = ksuid(NOW - 600, random=9)
    assert (
        f"        Trust Chain: Issued by {issuer_id} with key {hex_of(CHAIN_ISSUER)}, "
        "whose own token ends 2027-01-15 10:00:00 +0000 UTC (2h0m0s)\n"
    ) in output
    bench.make("client", "i.jwt", "login", "org.seed", "--issuer", "--public-key", "u.pub")
    output = bench.run("view", "i.jwt").stdout
    organization = (bench.folder / "org.pub").read_text()
    assert f"        Trust Chain: Can issue tokens in a chain of trust under issuer {organization}\n" in output


@pytest.mark.parametrize("permission", ClientPermission)
def test_every_client_permission_has_words(bench: Bench, permission: ClientPermission) -> None:
    output = shown(bench, mint(client(permissions={permission: True})))
    assert output.count("      Can ") == 1
    assert "No permissions" not in output


def test_fleet_management_is_said_once(bench: Bench) -> None:
    both = {"fleet_management": True, "signed_fleet_management": True}
    assert shown(bench, mint(client(permissions=both))).count("fleet nodes") == 1


@pytest.mark.parametrize("claims", [client(), client(permissions=None), server(permissions={"streams": False})])
def test_no_permissions(bench: Bench, claims: dict[str, Any]) -> None:
    assert " Permissions:\n\n" in shown(bench, mint(claims))
    assert "No permissions" in shown(bench, mint(claims))


def test_a_token_cannot_drive_the_terminal(bench: Bench) -> None:
    claims = client(callerid="up=\x1b[2Jx\rroot", opa_policy="a\x07\nb", agents=["\x9b"])
    output = shown(bench, mint(claims))
    assert all(letter.isprintable() or letter == "\n" for letter in output)
    assert "Caller ID: up=\\x1b[2Jx\\rroot\n" in output
    assert "\x1b" not in shown(bench, mint(claims), "--json")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"garbage", "t.jwt is not a usable token: the token does not have three parts"),
        (b"", "three parts"),
        (b"\xff.\xfe.\xfd", "base64url"),
        (mint(client(permissions=[])).encode(), "claim permissions is not an object"),
        (mint(client(), header={"alg": "none"}).encode(), "not signed with"),
    ],
    ids=["garbage", "empty", "bytes", "wrong type", "algorithm"],
)
def test_files_without_a_usable_token(bench: Bench, content: bytes, problem: str) -> None:
    (bench.folder / "t.jwt").write_bytes(content)
    assert problem in bench.fails("view", "t.jwt")


def test_missing_files(bench: Bench) -> None:
    assert "t.jwt cannot be read (No such file or directory)" in bench.fails("view", "t.jwt")
    assert "colour cannot be read" in bench.fails("colour")
    (bench.folder / "t.jwt").write_text(mint(client()))
    assert "no.pub cannot be read" in bench.fails("view", "t.jwt", "no.pub")
    (bench.folder / "bad.pub").write_text("x")
    assert "bad.pub cannot be used as a public key" in bench.fails("view", "t.jwt", "bad.pub")


@pytest.mark.parametrize(
    ("begin", "status", "row"),
    [
        (NOW - 60, 0, "2027-01-15 07:59:00 +0000 UTC"),
        (NOW + 30, 0, "2027-01-15 08:00:30 +0000 UTC (not valid yet: 30.00s to go)"),
        (NOW + 600, 1, "2027-01-15 08:10:00 +0000 UTC (not valid yet: 10m0s to go)"),
        (10**18, 1, "not a valid date"),
    ],
)
def test_from_when_a_token_is_valid(begin: int, status: int, row: str, bench: Bench) -> None:
    for claims in (client(nbf=begin), server(nbf=begin), provisioning(nbf=begin)):
        printed = shown(bench, mint(claims), status=status)
        assert f"Valid From: {row}" in printed
    assert "Valid From" not in shown(bench, mint(client(nbf=None)))
