"""A folder with keys, and the jwt commands run in it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from choria_broker.cli.jwt import jwt
from choria_broker.security.signing import public_hex
from choria_broker.security.tokens import Envelope, open_envelope


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """Runs jwt commands in a folder.

    Attributes:
        folder: where relative file names are.
        organization: key in ``org.seed`` and ``org.pub``.
        holder: key in ``u.seed`` and ``u.pub``.
    """

    folder: Path
    organization: Ed25519PrivateKey
    holder: Ed25519PrivateKey

    @classmethod
    def at(cls, folder: Path) -> Bench:
        """Write the keys into a folder."""
        made = cls(folder, Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())
        for name, key in (("org", made.organization), ("u", made.holder)):
            (folder / f"{name}.seed").write_text(key.private_bytes_raw().hex())
            (folder / f"{name}.pub").write_text(public_hex(key))
        return made

    def run(self, *arguments: str, answers: str = "") -> Result:
        """Run a command; nothing but an exit in order is allowed to come out of it."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(jwt, arguments, input=answers, prog_name="jwt")
        finally:
            os.chdir(before)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        for key in (self.organization, self.holder):
            assert key.private_bytes_raw().hex() not in result.output
        return result

    def make(self, *arguments: str) -> Envelope:
        """Make a token, whose file is the second argument, and open it."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        path = self.folder / arguments[1]
        assert (
            result.stdout == f"Saved token to {arguments[1]}, use 'choria-broker jwt view {arguments[1]}' to view it\n"
        )
        assert path.stat().st_mode & 0o777 == 0o600
        envelope = open_envelope(path.read_text())
        assert isinstance(envelope, Envelope)
        assert path.read_text() == path.read_text().strip()
        return envelope

    def fails(self, *arguments: str, answers: str = "") -> str:
        """Run a command that has to fail with status 1 and one sentence, and return the sentence."""
        result = self.run(*arguments, answers=answers)
        assert result.exit_code == 1, result.output
        sentence = result.stderr.splitlines()[-1]
        assert sentence.startswith("Could not run Choria: "), result.stderr
        return sentence
