"""Files of keys and tokens: reading them, and writing them so that nobody else can read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from choria_broker.host.private_file import create_file, replace_file
from choria_broker.patterns import expression
from choria_broker.security import keys, signing

_TOKEN = expression(rb"[\w-]+\.[\w-]+\.[\w-]*")


class JwtError(click.ClickException):
    """A command cannot do what it was asked to: one sentence with the file and the remedy, status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence to standard error."""
        click.echo(f"Could not run Choria: {self.format_message()}", file, err=True)


def read(path: Path, what: str) -> bytes:
    """Read a file.

    Args:
        path: the file.
        what: what it has to hold, for the error.

    Raises:
        JwtError: when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise JwtError(f"{path} cannot be read ({error.strerror}): give the file with {what}") from None


def signing_key(path: Path) -> signing.SigningKey:
    """Read the private key that tokens are signed with.

    Raises:
        JwtError: when the file cannot be read or holds no such key.
    """
    try:
        return signing.signing_key_from_file(read(path, "the signing key"))
    except keys.KeyFormError as error:
        raise JwtError(
            f"unsupported key in {path}, {error}: give a seed file made with 'choria-broker jwt keys', or an RSA "
            "private key in PEM form"
        ) from None


def verification_key(text: str) -> keys.VerificationKey:
    """Read a public key that is given as 64 hex digits, or as a file with one, a PEM public key or a certificate.

    Raises:
        JwtError: when the file cannot be read or holds no such key.
    """
    if keys.is_hex_key(text):
        return keys.ed25519_from_hex(text)
    try:
        return keys.key_from_file(read(Path(text), "the public key"))
    except keys.KeyFormError as error:
        raise JwtError(
            f"{text} cannot be used as a public key: {error}; give a file written by 'choria-broker jwt keys', a "
            "PEM public key or a certificate"
        ) from None


def holder_key(text: str) -> str:
    """Read the ed25519 public key of whoever is to hold a token, given as for :func:`verification_key`.

    Returns:
        64 lower case hex digits, empty when the text is.

    Raises:
        JwtError: when it is no ed25519 public key.
    """
    if not text:
        return ""
    key = verification_key(text)
    if not isinstance(key, Ed25519PublicKey):
        raise JwtError(f"{text} holds an RSA key: the holder of a token needs an ed25519 key, see 'jwt keys'")
    return key.public_bytes_raw().hex()


def refuse_existing(path: Path) -> None:
    """Refuse to go on when a file is there.

    Raises:
        JwtError: when it is.
    """
    if os.path.lexists(path):
        raise JwtError(f"{path} exists already: use --force to overwrite it, or another name")


def refuse_other_than_token(path: Path) -> None:
    """Refuse to go on when a file is there that is not a token: a key in its place could not be had back.

    Raises:
        JwtError: when it is.
    """
    if not path.is_file():
        return
    content = read(path, "what is there").strip()
    if content and not _TOKEN.fullmatch(content):
        raise JwtError(f"{path} exists and is not a token: use --force to overwrite it, or another name")


def write(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read.

    Args:
        path: the file.
        text: its whole content, ASCII.
        force: whether a file that is there may be overwritten; it then keeps its owner, and is either the old one or
            the new one at any moment.

    Raises:
        JwtError: when it is there and may not be overwritten, is not a plain file, or cannot be written.
    """
    if not force:
        refuse_existing(path)
    try:
        if path.exists() and not path.is_file():
            raise JwtError(f"{path} is not a regular file: choose another name")
        if force:
            replace_file(path.resolve(), text, keep_owner=True)
        else:
            create_file(path, text)
    except FileExistsError:
        refuse_existing(path)
    except (OSError, RuntimeError) as error:
        raise JwtError(
            f"{path} cannot be written ({_reason(error)}): choose a file in a directory that you may write to"
        ) from None


def _reason(error: OSError | RuntimeError) -> str:
    # A loop of links is an error of its own in the older Pythons.
    return (error.strerror or "I/O error") if isinstance(error, OSError) else "a loop of symbolic links"
