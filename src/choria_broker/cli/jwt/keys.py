"""``choria-broker jwt keys``: make an ed25519 key pair."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.cli.answers import show
from choria_broker.cli.jwt import files
from choria_broker.cli.jwt.options import PLAIN_FILE
from choria_broker.cli.options import as_json
from choria_broker.security import signing


@click.command()
@click.argument("seed_file", metavar="SEED-FILE", type=PLAIN_FILE)
@click.argument("public", metavar="[PUBLIC]", type=PLAIN_FILE, required=False)
@click.option("-f", "--force", is_flag=True, help="Overwrite existing files without asking.")
@click.option("--show-public", is_flag=True, help="Show the public key of an existing seed file; create nothing.")
@as_json
def keys(*, seed_file: Path, public: Path | None, force: bool, show_public: bool, as_json: bool) -> None:
    """Create an ed25519 key pair.

    The private seed goes to SEED-FILE, the public key to PUBLIC if you give it; only their owner can read them.

    Exit status 0: created, shown, or kept because you did not want to overwrite it. 1: nothing was written.
    """
    if show_public:
        key = files.signing_key(seed_file)
        if not isinstance(key, Ed25519PrivateKey):
            raise files.JwtError(f"{seed_file} holds an RSA key: give an ed25519 seed file")
        if public:
            files.write(public, signing.public_hex(key), force=force)
        shown = signing.public_hex(key)
        show(_told(shown, seed_file, public), (f"Public Key: {shown}",), as_json=as_json)
        return
    present = [path for path in (seed_file, public) if path and path.exists()]
    if not force and any(not _may_overwrite(path) for path in present):
        click.echo("Skipping", err=as_json)
        return
    seed = secrets.token_bytes(signing.SEED_BYTES)
    public_key = signing.public_hex(Ed25519PrivateKey.from_private_bytes(seed))
    files.write(seed_file, seed.hex(), force=force or seed_file in present)
    if public:
        files.write(public, public_key, force=force or public in present)
    lines = (f"Public Key: {public_key}", "", f"Ed25519 seed saved in {seed_file}")
    show(_told(public_key, seed_file, public), lines, as_json=as_json)


def _told(public_key: str, seed_file: Path, public: Path | None) -> dict[str, str | None]:
    return {"public_key": public_key, "seed_file": str(seed_file), "public_file": str(public) if public else None}


def _may_overwrite(path: Path) -> bool:
    try:
        return click.confirm(f"Really overwrite {path}", err=True)
    except click.Abort:
        click.echo(err=True)
        raise files.JwtError(
            f"{path} exists already and there is no terminal for the confirmation: use --force to overwrite it"
        ) from None
