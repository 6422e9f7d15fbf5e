"""Remembering signatures that were checked and hold, so that a reconnecting fleet does not have each checked again.

Whoever comes back presents the token it had before. What the memory answers is what checking again would answer, since
a signature that once fitted a key and a message always will: it changes the time a decision takes and never its result.
Times inside tokens, their claims and the proof of holding the key are looked at anew for every connection.
"""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from choria_broker.security.keys import SIGNATURE_BYTES, SignatureCheck, ed25519_verifies

SIZE = 16_384
"""Most signatures remembered at once; about 3 MB."""

SECONDS = 300.0
"""How long a signature is remembered from the moment it was checked; using it does not make it longer."""


class SignatureMemory:
    """Signatures that hold, the least recently used forgotten first.

    Only signatures that hold are remembered, so that nobody without a valid token can push anything out, and only as
    digests, so that the memory holds no tokens. It is not for signatures over nonces, which are good for once. For one
    thread.

    Args:
        clock: seconds of a clock that never goes back.
        size: most signatures remembered at once.
        seconds: how long each is remembered.
        check: checks what is not remembered.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        size: int = SIZE,
        seconds: float = SECONDS,
        check: SignatureCheck = ed25519_verifies,
    ) -> None:
        """Start with nothing remembered."""
        self._clock = clock
        self._size = size
        self._seconds = seconds
        self._check = check
        self._until: collections.OrderedDict[bytes, float] = collections.OrderedDict()

    def __len__(self) -> int:
        """Count what takes up room, expired or not."""
        return len(self._until)

    def signed_by(self, key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
        """Tell whether an ed25519 signature over a message was made with the private half of a key."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        # Key and signature have one length each, so no other three values give the same bytes.
        digest = hashlib.sha256(key.public_bytes_raw() + message + signature).digest()
        now = self._clock()
        until = self._until.get(digest)
        if until is not None and now < until:
            self._until.move_to_end(digest)
            return True
        if not self._check(key, signature, message):
            return False
        self._until[digest] = now + self._seconds
        self._until.move_to_end(digest)
        if len(self._until) > self._size:
            self._until.popitem(last=False)
        return True
