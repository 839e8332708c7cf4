"""Certificates for NETCONF over TLS (RFC 7589), all made from the seed of a fleet.

Ed25519 signatures and fixed dates make every certificate the same in every run, so that endpoints can
pin fingerprints before a fleet has started. They protect nothing: anybody can derive the keys.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
#: RFC 5280 §4.1.2.5: a certificate without a well-defined end.
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
#: Key usage of an authority, which strict checkers such as Python 3.13 require (RFC 5280 §4.2.1.3).
_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """The authority of a fleet, and the certificates that it signs; PEM text throughout."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._key = _key(seed, "authority", "")
        self._name = _name(f"{seed} simulated stations"[:64])
        builder = self._builder(self._name, self._key, "authority")
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = builder.add_extension(_SIGNS, critical=True).sign(self._key, None)

    @property
    def certificate(self) -> str:
        """Its own certificate, for clients that check the signature of a station's."""
        return _pem(self._certificate)

    def station(self, station: str, address: str) -> str:
        """Certificate and private key of a station, which names itself and its address."""
        names: list[x509.GeneralName] = [x509.DNSName(station.partition("#")[0])]
        names.append(x509.IPAddress(ipaddress.ip_address(address)))
        return self._issue(station, "station", ExtendedKeyUsageOID.SERVER_AUTH, names)

    def fingerprint(self, station: str, address: str) -> str:
        """Fingerprint of a station's certificate, ``sha256:`` and hex digits."""
        certificate = x509.load_pem_x509_certificate(self.station(station, address).encode())
        return f"sha256:{hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()}"

    def client(self, username: str, *organisations: str) -> str:
        """Certificate and private key of a user, with the user's groups as organisations."""
        return self._issue(username, "client", ExtendedKeyUsageOID.CLIENT_AUTH, [], organisations)

    def _issue(
        self,
        name: str,
        kind: str,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        organisations: Sequence[str] = (),
    ) -> str:
        key = _key(self._seed, kind, name)
        builder = self._builder(_name(name.partition("#")[0], organisations), key, f"{kind} {name}")
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return _pem(builder.sign(self._key, None)) + private

    def _builder(self, subject: x509.Name, key: Ed25519PrivateKey, serial: str) -> x509.CertificateBuilder:
        number = int.from_bytes(hashlib.sha256(f"{self._seed}:{serial}".encode()).digest()[:15], "big")
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(number + 1)
            .not_valid_before(_BEGIN)
            .not_valid_after(_END)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def _key(seed: str, kind: str, name: str) -> Ed25519PrivateKey:
    raw = hashlib.sha256(f"minka-simulator-{kind}-certificate:{seed}:{name}".encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(raw)


def _name(common: str, organisations: Sequence[str] = ()) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organisations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
