"""``choria-broker jwt view``: look at a token."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from choria_broker.cli.jwt import files, layout
from choria_broker.cli.jwt.options import PLAIN_FILE
from choria_broker.security.tokens import CLOCK_LEEWAY, Envelope, Rejection, open_envelope, verify
from choria_broker.security.tokens_claims import ClaimError, Claims, claims_of


@click.command()
@click.argument("file", type=PLAIN_FILE)
@click.argument("public", metavar="[PUBLIC]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print all claims as JSON, including secrets in them.")
def view(*, file: Path, public: str | None, as_json: bool) -> None:
    """Show what the token in FILE says.

    With PUBLIC, the issuer's public key, the token is verified first: an ed25519 key as hex or in a file, a PEM public
    key or a certificate. Without it the token is not verified, and its content may be false.

    Exit status 0: shown. 1: not verified, not valid yet, expired, or not a token.
    """
    envelope = _envelope(file)
    kind = claims_of(envelope.payload)
    now = time.time()
    if public:
        _verify(file, envelope, kind, public, now)
    if as_json or kind is None:
        click.echo(json.dumps(envelope.payload, indent=2, sort_keys=True))
        return
    try:
        claims = kind.read(envelope.payload)
    except ClaimError as error:
        raise files.JwtError(f"{file} is not a usable token: {error}; use --json to show all of it") from None
    title = f"{'Validated' if public else 'Unvalidated'} {layout.kind(kind)} {file}"
    click.echo(layout.render(title, claims, envelope.payload, now), nl=False)
    too_early = claims.not_before is not None and claims.not_before > now + CLOCK_LEEWAY
    if too_early or (claims.expires is not None and claims.expires <= now):
        raise SystemExit(1)


def _envelope(file: Path) -> Envelope:
    envelope = open_envelope(files.read(file, "a token, or see --help for the commands").decode(errors="replace"))
    if isinstance(envelope, Rejection):
        raise files.JwtError(f"{file} is not a usable token: {envelope.reason}; give a file that holds a token")
    return envelope


def _verify(file: Path, envelope: Envelope, kind: type[Claims] | None, public: str, now: float) -> None:
    if kind is None:
        raise files.JwtError(f"{file} has no purpose that can be verified: leave out the public key")
    result = verify(envelope, kind, [files.verification_key(public)], now)
    if isinstance(result, Rejection):
        raise files.JwtError(
            f"{file} is not valid with the key in {public}: {result.reason}; leave out the key to show the token "
            "without verifying it"
        )
