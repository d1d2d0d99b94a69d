from __future__ import annotations

import io

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.errors import GadError
from infra.toolchain.command.connection import parse_host_key, parse_private_key


def ed25519(passphrase: str | None = None) -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    lock = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock
    ).decode()
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )
    return private, public


@pytest.mark.parametrize("line", ["{}", "{} comment with words", "no-pty {} comment"])
def test_a_host_key_is_read_from_its_line(line: str) -> None:
    private, public = ed25519()
    key = paramiko.Ed25519Key.from_private_key(io.StringIO(private))
    assert parse_host_key(line.format(public)).asbytes() == key.asbytes()


@pytest.mark.parametrize("text", ["", "nonsense", "ssh-ed25519 AAAA", "ssh-ed25519 !!!", "ssh-x AAAA"])
def test_what_is_no_host_key_is_refused(text: str) -> None:
    with pytest.raises(GadError, match=r"connection\.hostKey holds no public key"):
        parse_host_key(text)


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_a_private_key_is_read(passphrase: str | None) -> None:
    private, public = ed25519(passphrase)
    assert parse_private_key(private, passphrase).get_base64() == public.split()[1]


def test_rsa_and_ecdsa_keys_are_read() -> None:
    for key in (paramiko.RSAKey.generate(2048), paramiko.ECDSAKey.generate()):
        text = io.StringIO()
        key.write_private_key(text)
        assert parse_private_key(text.getvalue(), None).asbytes() == key.asbytes()


def test_a_locked_key_says_that_its_password_is_missing() -> None:
    with pytest.raises(GadError, match="is encrypted"):
        parse_private_key(ed25519("open sesame")[0], None)


@pytest.mark.parametrize(
    "text", ["", "garbage", ed25519()[0][:120], ed25519()[1]], ids=["empty", "words", "cut", "public"]
)
def test_what_is_no_private_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(GadError, match="ssh: no key found") as refused:
        parse_private_key(text, None)
    assert text == "" or text not in str(refused.value)


def test_the_wrong_password_is_refused() -> None:
    with pytest.raises(GadError, match="ssh: no key found"):
        parse_private_key(ed25519("open sesame")[0], "close")
