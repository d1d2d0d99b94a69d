"""PostgreSQL's key and certificate: what is made is accepted, what could not work is named."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.tls_pair import VALID_DAYS, TlsPair, flaw_of, make_pair

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
PAIR = make_pair("postgres", at=AT)


def flaw(pair: TlsPair = PAIR, name: str = "postgres", at: datetime = AT) -> str | None:
    return flaw_of(pair, name=name, at=at)


def signed_by_another() -> TlsPair:
    """As an authority would make it."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "postgres")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, AT, AT + timedelta(days=100))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("postgres")]), critical=False)
        .sign(other, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(pem, form, serialization.NoEncryption())
    return TlsPair(private.decode(), certificate.public_bytes(pem).decode())


def test_what_is_made_can_be_used() -> None:
    assert flaw() is None
    assert flaw(make_pair("otro", at=AT), name="otro") is None


def test_a_made_certificate_vouches_for_one_name_only() -> None:
    certificate = x509.load_pem_x509_certificate(PAIR.certificate.encode())
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["postgres"]
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == VALID_DAYS
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def verified(context: ssl.SSLContext, name: str, pair: TlsPair, folder: Path) -> bool:
    """Whether a client that trusts as `context` does accepts a server with `pair` as `name`."""
    (folder / "key").write_text(pair.key)
    (folder / "crt").write_text(pair.certificate)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(folder / "crt", folder / "key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up, server_hostname=name)
    server = server_side.wrap_bio(up, down, server_side=True)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    with suppress(ssl.SSLWantReadError):
        server.do_handshake()
    try:
        client.do_handshake()
    except ssl.SSLCertVerificationError:
        return False
    return client.version() == "TLSv1.3"


@pytest.mark.parametrize("strict", [ssl.VerifyFlags(0), ssl.VERIFY_X509_STRICT])
def test_openssl_trusts_exactly_the_made_certificate(tmp_path: Path, strict: ssl.VerifyFlags) -> None:
    """Strictness is the default of newer clients, so what is made must bear it."""
    now = datetime.now(UTC)
    pair = make_pair("postgres", at=now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pair.certificate)
    context.verify_flags |= strict
    assert verified(context, "postgres", pair, tmp_path) is True
    assert verified(context, "otro", pair, tmp_path) is False
    assert verified(context, "postgres", make_pair("postgres", at=now), tmp_path) is False


def test_two_pairs_share_nothing() -> None:
    other = make_pair("postgres", at=AT)
    assert (other.key == PAIR.key, other.certificate == PAIR.certificate) == (False, False)


def test_the_key_is_in_no_text_of_the_pair() -> None:
    assert PAIR.key not in repr(PAIR)
    assert [line for line in PAIR.key.splitlines()[1:-1] if line in str(PAIR)] == []


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (TlsPair("", PAIR.certificate), "the key is no private key in PEM"),
        (TlsPair(PAIR.certificate, PAIR.certificate), "the key is no private key in PEM"),
        (TlsPair(PAIR.key[:-40], PAIR.certificate), "the key is no private key in PEM"),
        (TlsPair(PAIR.key, ""), "the certificate is no certificate in PEM"),
        (TlsPair(PAIR.key, PAIR.key), "the certificate is no certificate in PEM"),
        (TlsPair(make_pair("postgres", at=AT).key, PAIR.certificate), "the key is not the certificate's"),
        (make_pair("postgres.example", at=AT), "the certificate is not for the name postgres"),
        (signed_by_another(), "the certificate is not self-signed"),
    ],
)
def test_a_flaw_is_named(pair: TlsPair, expected: str) -> None:
    assert str(flaw(pair)).startswith(expected)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (-1, "the certificate is not valid before 2030-01-01 11:00 UTC"),
        (0, "None"),
        (VALID_DAYS - 31, "None"),
        (VALID_DAYS - 30, "the certificate ends on 2032-04-05, and needs 30 days left"),
        (VALID_DAYS + 1, "the certificate ends on 2032-04-05, and needs 30 days left"),
    ],
)
def test_a_certificate_has_its_time(days: int, expected: str) -> None:
    assert str(flaw(at=AT + timedelta(days=days))) == expected
