"""A server's key and its self-signed certificate: made, and judged before anything relies on them.

The certificate is its own authority: whoever connects trusts exactly this one, and no public or system
authority. Pure apart from the random key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# The longest that Apple's platforms accept from a private authority (HT210176), and the limit that the
# CA/Browser Forum set in 2018 (Baseline Requirements 6.3.2): the strictest known for a private certificate.
VALID_DAYS = 825
# Chosen: a month in which a person is told, before the first connection fails.
LEAST_LEFT_DAYS = 30
CLOCK_SKEW = timedelta(hours=1)  # chosen: the server's clock may be behind the one that made it


@dataclass(frozen=True)
class TlsPair:
    """Both in PEM, without a newline at the end."""

    key: str = field(repr=False)
    certificate: str


def make_pair(name: str, *, at: datetime) -> TlsPair:
    """An ECDSA P-256 key and its certificate as server `name`, valid from `at` (UTC) for VALID_DAYS."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    known_by = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    begin = at - CLOCK_SKEW
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        # Trusted as it is, it must not be able to vouch for another.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signs_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(known_by, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known_by), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return TlsPair(private.decode().rstrip("\n"), public.decode().rstrip("\n"))


def flaw_of(pair: TlsPair, *, name: str, at: datetime) -> str | None:
    """Why server `name` cannot use `pair` at `at` (UTC), or not for LEAST_LEFT_DAYS; None: it can.

    Shows nothing of the key.
    """
    try:
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "the key is no private key in PEM that opens without a passphrase"
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        names = _names(certificate)
    except ValueError:
        return "the certificate is no certificate in PEM"
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return "the certificate is not self-signed, so it cannot be its own authority"
    if certificate.public_key() != key.public_key():
        return "the key is not the certificate's"
    if name not in names:
        return f"the certificate is not for the name {name}"
    if at < certificate.not_valid_before_utc:
        return f"the certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    if certificate.not_valid_after_utc - at < timedelta(days=LEAST_LEFT_DAYS):
        until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        return f"the certificate ends on {until}, and needs {LEAST_LEFT_DAYS} days left"
    return None


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _signs_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
