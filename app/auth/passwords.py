"""argon2id hashes, and which passwords are too easy to guess. Pure, slow on purpose: call it in a thread."""

from __future__ import annotations

import re
import unicodedata

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

# Library defaults: argon2id, 64 MiB, 3 passes, 4 lanes (RFC 9106, second recommended option).
_HASH = PasswordHash((Argon2Hasher(),))

# What people take when a long password is demanded; with digits and signs removed nothing may remain but
# a few letters. Written down by us from common knowledge; grows when an audit finds more.
_COMMON = """
    password passw contrasena contrasenia clave secreto secret admin administrador administrator
    usuario user welcome bienvenido letmein qwerty qwertyuiop asdfgh zxcvbn teclado iloveyou teamo
    tequiero amor princesa dragon monkey football futbol barcelona emelec ecuador quito guayaquil
    policia police grupogad gad default changeme temporal temporary prueba test hola hello enero
    febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes
    miercoles jueves viernes sabado domingo
"""
_WORDS = re.compile("|".join(sorted(_COMMON.split(), key=len, reverse=True)))
_LEET = str.maketrans("013457@$!", "oieastasi")
_RUNS = (
    "0123456789012345",
    "abcdefghijklmnopqrstuvwxyz",
    # pragma: allowlist nextline secret
    "qwertyuiopasdfghjklzxcvbnm",
)

MIN_DISTINCT = 6  # chosen: "aaaabbbbcccc" has 3
MIN_REMAINING = 4  # chosen: letters left once common words are gone


def hash_password(password: str) -> str:
    """An argon2id hash with its salt and parameters, about 50 ms of one core."""
    return _HASH.hash(password)


def matches(password: str, stored: str) -> bool:
    """Whether `stored` is the hash of `password`; False for a text that is no hash at all."""
    return stored.startswith("$") and _HASH.verify(password, stored)


def _plain(value: str) -> str:
    decomposed = unicodedata.normalize("NFKD", value.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def is_weak(password: str) -> bool:
    """Few different characters, a keyboard run, or a common word with decoration."""
    plain = _plain(password)
    if len(set(plain)) < MIN_DISTINCT:
        return True
    for run in _RUNS:
        for line in (run, run[::-1]):
            if any(line[start : start + 10] in plain for start in range(len(line) - 9)):
                return True
    for reading in (plain, plain.translate(_LEET)):
        rest = re.sub(r"[^a-z]", "", _WORDS.sub("", reading))
        if _WORDS.search(reading) and len(rest) < MIN_REMAINING:
            return True
    return False


def is_personal(password: str, email: str, *names: str) -> bool:
    """Whether it holds the e-mail's first part or one of the names, of four letters or more."""
    plain = _plain(password)
    parts = [email.partition("@")[0], *(part for name in names for part in name.split())]
    return any(len(part) >= 4 and _plain(part) in plain for part in parts)
