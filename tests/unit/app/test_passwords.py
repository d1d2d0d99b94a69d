from __future__ import annotations

import pytest

from app.auth.passwords import hash_password, is_personal, is_weak, matches
from app.user.models import NO_PASSWORD


def test_a_hash_is_argon2id_and_matches_its_password_alone() -> None:
    stored = hash_password("ocho caballos verdes")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert stored != hash_password("ocho caballos verdes")
    assert matches("ocho caballos verdes", stored)
    assert not matches("ocho caballos verde", stored)
    assert not matches(NO_PASSWORD, NO_PASSWORD)


@pytest.mark.parametrize(
    ("password", "weak"),
    [
        ("password1234", True),
        ("P4ssw0rd!2026", True),
        ("Contraseña2026!", True),
        ("123456789012", True),
        ("098765432109", True),
        ("qwertyuiop12", True),
        ("aaaabbbbcccc", True),
        ("abcdefghijkl", True),
        ("admin-admin-admin", True),
        ("Guayaquil2026", True),
        ("ocho caballos verdes", False),
        ("Tr3s-tristes-t1gres", False),
        ("mi perro policia come", False),
        ("kD9#fL2$xQ8!", False),
    ],
)
def test_is_weak(password: str, weak: bool) -> None:
    assert is_weak(password) is weak


@pytest.mark.parametrize(
    ("password", "personal"),
    [
        ("guaman de la sierra", True),
        ("GUAMÁN de la sierra", True),
        ("soy maria.quishpe hoy", True),
        ("Ana es corto y no cuenta", False),
        ("ocho caballos verdes", False),
    ],
)
def test_is_personal(password: str, personal: bool) -> None:
    assert is_personal(password, "maria.quishpe@distrito.example", "Ana", "Guamán Loor") is personal
