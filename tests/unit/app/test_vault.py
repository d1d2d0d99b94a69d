from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from app.user.vault import Vault

VAULT = Vault(kek="k" * 32, hmac_key="h" * 32)


@given(subject=st.uuids(), value=st.text())
def test_what_is_sealed_opens_again(subject: UUID, value: str) -> None:
    cipher, wrapped = VAULT.new_subject(subject)
    sealed = cipher.seal("dni", value)
    assert VAULT.subject(subject, wrapped).open("dni", sealed) == value


def test_equal_values_are_sealed_differently() -> None:
    cipher, _ = VAULT.new_subject(uuid4())
    assert cipher.seal("dni", "1710034065") != cipher.seal("dni", "1710034065")


def test_a_sealed_value_belongs_to_its_person_field_and_key() -> None:
    one, two = uuid4(), uuid4()
    cipher, wrapped = VAULT.new_subject(one)
    sealed = cipher.seal("dni", "1710034065")
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for attempt in (
        lambda: cipher.open("phone", sealed),
        lambda: cipher.open("dni", flipped),
        lambda: VAULT.subject(two, wrapped),
        lambda: VAULT.new_subject(one)[0].open("dni", sealed),
        lambda: Vault(kek="x" * 32, hmac_key="h" * 32).subject(one, wrapped),
    ):
        with pytest.raises(InvalidTag):
            attempt()


def test_digests_find_equal_values_of_one_field_under_one_key() -> None:
    digest = VAULT.digest("dni", "1710034065")
    assert digest == VAULT.digest("dni", "1710034065")
    assert digest != VAULT.digest("phone", "1710034065")
    assert digest != Vault(kek="k" * 32, hmac_key="i" * 32).digest("dni", "1710034065")
