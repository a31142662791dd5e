"""Makes the authority and the certificate of an encrypted cluster, and renews the latter.

Guarantees certificates that strict verifiers take (authority and subject key identifiers), and that
a renewed one is trusted by everybody who trusts the one before, as long as the authority can be
read and lasts: for 25 years. After that, or when somebody broke it, the authority is made anew too,
and members of before do not trust those of after. Refuses to be shared: each cluster has an
authority of its own, so that a member of one is nobody in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from .resources.tls import (
    AUTHORITY_CERTIFICATE_KEY,
    AUTHORITY_PRIVATE_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY,
    RENEW_BEFORE_S,
    Certificates,
)

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_YEARS = 30
MEMBER_YEARS = 10
# Clocks of nodes differ.
_EARLIER = timedelta(hours=1)
# What is raised where a part is missing, is no PEM, or is encrypted.
_BROKEN = (KeyError, TypeError, ValueError)


def issue_certificates(name: str, present: Mapping[str, str] | None, now: float) -> Certificates:
    """Make certificates, or those of ``present`` anew where they end soon or cannot be read.

    Parameters
    ----------
    name
        Name of the cluster, for people who look into a certificate.
    present
        Texts of the Secret that is there, None when there is none.
    now
        Seconds since the epoch.

    Examples
    --------
    >>> made = issue_certificates("demo", None, 0.0)
    >>> made.is_new, sorted(made.texts)
    (True, ['ca.crt', 'ca.key', 'tls.crt', 'tls.key'])
    """
    if present is None:
        texts, until = _make_all(name, now)
        return Certificates(texts, until, is_new=True)
    ends = _ends_if_fit(present)
    if ends is not None and ends - now >= RENEW_BEFORE_S:
        return Certificates(dict(present), ends)
    try:
        lasts = _ends(present[AUTHORITY_CERTIFICATE_KEY]) - now >= RENEW_BEFORE_S
        texts, until = _make_member(name, present, now) if lasts else _make_all(name, now)
    except _BROKEN:
        texts, until = _make_all(name, now)
    return Certificates(texts, until, is_renewed=True)


def _ends_if_fit(present: Mapping[str, str]) -> float | None:
    """Return when the member's certificate ends, None where the parts make no trusted member.

    The authority's key may be missing: it is not needed before then.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        member = x509.load_pem_x509_certificate(present[CERTIFICATE_KEY].encode())
        authority = x509.load_pem_x509_certificate(present[AUTHORITY_CERTIFICATE_KEY].encode())
        key = load_pem_private_key(present[PRIVATE_KEY].encode(), None)
        member.verify_directly_issued_by(authority)
    except (*_BROKEN, InvalidSignature):
        return None
    is_its_key = key.public_key() == member.public_key()
    return member.not_valid_after_utc.timestamp() if is_its_key else None


def _make_all(name: str, now: float) -> tuple[dict[str, str], float]:
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    authority = _build(f"{name} authority", key, None, now, AUTHORITY_YEARS)
    made = {AUTHORITY_CERTIFICATE_KEY: _write(authority), AUTHORITY_PRIVATE_KEY: _write_key(key)}
    return _make_member(name, made, now)


def _make_member(
    name: str, authority: Mapping[str, str], now: float
) -> tuple[dict[str, str], float]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    issuer = x509.load_pem_x509_certificate(authority[AUTHORITY_CERTIFICATE_KEY].encode())
    issuer_key = load_pem_private_key(authority[AUTHORITY_PRIVATE_KEY].encode(), None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of ours")
    if issuer_key.public_key() != issuer.public_key():
        raise ValueError("the key is another authority's")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _build(name, key, (issuer, issuer_key), now, MEMBER_YEARS)
    texts = {
        AUTHORITY_CERTIFICATE_KEY: authority[AUTHORITY_CERTIFICATE_KEY],
        AUTHORITY_PRIVATE_KEY: authority[AUTHORITY_PRIVATE_KEY],
        CERTIFICATE_KEY: _write(certificate),
        PRIVATE_KEY: _write_key(key),
    }
    return texts, certificate.not_valid_after_utc.timestamp()


def _build(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    now: float,
    years: int,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    signer = issuer[1] if issuer else key
    began = datetime.fromtimestamp(now, tz=timezone.utc) - _EARLIER
    ends = [began + timedelta(days=365 * years)]
    if issuer:
        # A member that outlived its authority would be called valid and be trusted by nobody.
        ends.append(issuer[0].not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(min(ends))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(_key_usage(is_authority=issuer is None), critical=True)
    )
    if issuer:
        # Every member is server and client: workers fetch results from one another.
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _ends(certificate: str) -> float:
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc.timestamp()


def _write(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _write_key(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
