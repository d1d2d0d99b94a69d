"""Personal data at rest: sealed under the person's own key, findable by digest, never readable in the rows.

A person's data key (DEK) is random and stored wrapped under the key-encryption key (KEK). AES-256-GCM both
times; a sealed value is nonce + ciphertext + tag and is bound to its person and field, so that it cannot be
moved to another row or column.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fastapi import Depends
from starlette.requests import Request

NONCE_BYTES = 12  # NIST SP 800-38D
KEY_BYTES = 32


@dataclass(frozen=True)
class SubjectCipher:
    """Seals and opens one person's fields."""

    subject: UUID
    dek: bytes

    def seal(self, field: str, value: str) -> bytes:
        """The value, unreadable without this person's key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.dek).encrypt(nonce, value.encode(), self._binding(field))

    def open(self, field: str, sealed: bytes) -> str:
        """The value again. Raises cryptography's InvalidTag if it was altered or belongs elsewhere."""
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return AESGCM(self.dek).decrypt(nonce, rest, self._binding(field)).decode()

    def _binding(self, field: str) -> bytes:
        return f"gad/v1/{self.subject}/{field}".encode()


class Vault:
    """Holds the two keys of the process; makes and unwraps the keys of persons."""

    def __init__(self, *, kek: str, hmac_key: str) -> None:
        # Secrets are text of any length over 32 bytes; AES wants exactly 32.
        self._kek = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"gad/v1/kek").derive(
            kek.encode()
        )
        self._hmac_key = hmac_key.encode()

    def new_subject(self, subject: UUID) -> tuple[SubjectCipher, bytes]:
        """A cipher with a fresh key, and that key wrapped for the row."""
        dek = AESGCM.generate_key(bit_length=8 * KEY_BYTES)
        nonce = os.urandom(NONCE_BYTES)
        return SubjectCipher(subject, dek), nonce + AESGCM(self._kek).encrypt(nonce, dek, subject.bytes)

    def subject(self, subject: UUID, wrapped_dek: bytes) -> SubjectCipher:
        """The cipher of a stored person. Raises InvalidTag for another person's key or another KEK."""
        nonce, rest = wrapped_dek[:NONCE_BYTES], wrapped_dek[NONCE_BYTES:]
        return SubjectCipher(subject, AESGCM(self._kek).decrypt(nonce, rest, subject.bytes))

    def digest(self, field: str, value: str) -> bytes:
        """Equal values give equal digests, within one field only."""
        return hmac.digest(self._hmac_key, f"{field}:{value}".encode(), sha256)


async def _vault(request: Request) -> Vault:
    vault: Vault = request.app.state.vault
    return vault


Keys = Annotated[Vault, Depends(_vault)]
