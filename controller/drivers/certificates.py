"""Certificates of servers and our own: by an authority, by a pinned fingerprint, or by both."""

from __future__ import annotations

import hashlib
import os
import ssl
from functools import lru_cache

from pydantic import SecretStr


@lru_cache(maxsize=512)
def tls_context(ours: SecretStr | None, authority: SecretStr | None, pinned: str = "") -> ssl.SSLContext:
    """Options and keys that connections with the same certificates share: most of the cost of opening one.

    Args:
        ours: Our certificate and its private key (PEM); None to show none.
        authority: Certificates that sign the other side's (PEM); without them only the fingerprint is checked.
        pinned: Fingerprint of the only certificate accepted, checked in the handshake; empty to accept any, or where
            the caller compares it, so that many connections share one context.

    Raises:
        ssl.SSLError, ValueError: One of them holds no certificate, or not its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint is compared instead
    else:
        context.load_verify_locations(cadata=authority.get_secret_value())
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if pinned:
        context.sslobject_class = type("Pinned", (_Pinned,), {"pinned": pinned})
    if ours is not None:
        # OpenSSL takes the key from a file only; this one is in memory.
        with open(os.memfd_create("certificate"), "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, no path)
            file.write(ours.get_secret_value().encode())
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


class _Pinned(ssl.SSLObject):
    """One side of a connection that accepts only the certificate with the pinned fingerprint."""

    pinned = ""

    def do_handshake(self) -> None:
        """Shake hands, and check the certificate before any data passes."""
        super().do_handshake()
        check_pinned(self.getpeercert(binary_form=True) or b"", self.pinned)


def fingerprint(certificate: bytes) -> str:
    """Fingerprint of a certificate (DER), as network files pin it."""
    return f"sha256:{hashlib.sha256(certificate).hexdigest()}"


def check_pinned(certificate: bytes, pinned: str) -> None:
    """Accept a certificate (DER) with the pinned fingerprint alone.

    Raises:
        ssl.SSLCertVerificationError: It is another one.
    """
    if pinned != fingerprint(certificate):
        raise ssl.SSLCertVerificationError("another certificate than the pinned one")
