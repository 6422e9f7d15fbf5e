"""Signature checks that are left to somebody else: noted, answered with yes, and not believed before they were made."""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from choria_broker.security.keys import SIGNATURE_BYTES, SignatureCheck


class Condition(msgspec.Struct, frozen=True):
    """An ed25519 signature that has to hold.

    Attributes:
        key: the public key, 32 bytes.
        signature: 64 bytes.
        message: what has to be signed.
    """

    key: bytes
    signature: bytes
    message: bytes


class Conditions:
    """Notes the checks that it is asked for.

    It may be asked only where "no" could end in nothing but a rejection. Where several keys are tried in turn, or
    another way is left after a "no", the answer has to be a real one: "yes" to the first of two keys would be wrong for
    whoever has the second.

    Attributes:
        noted: the checks, in the order in which they were asked for.
    """

    __slots__ = ("noted",)

    def __init__(self) -> None:
        """Begin with none."""
        self.noted: list[Condition] = []

    def signed_by(self, key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
        """Note a signature, and take it for granted unless its length alone shows that it is none."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        self.noted.append(Condition(key.public_bytes_raw(), signature, message))
        return True


class Checks:
    """How the signatures of one token are checked.

    Attributes:
        answers: tells whether a signature holds.
        alone: the same for a signature on which alone it hangs whether the token is believed; may leave the check open.
    """

    __slots__ = ("alone", "answers")

    def __init__(self, answers: SignatureCheck, alone: SignatureCheck | None = None) -> None:
        """Have both checked in one way, unless there is another for what hangs on one signature alone."""
        self.answers = answers
        self.alone = alone or answers
