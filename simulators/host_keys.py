"""Host keys of simulated stations: derived, so that generator and simulator agree without sharing files."""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_KIND = b"ssh-ed25519"


def private_host_key(fleet_seed: str, station: str) -> Ed25519PrivateKey:
    """The ed25519 host key of a simulated station. It guards nothing: everyone can derive it."""
    secret = hashlib.sha256(b"minka-simulator-host-key:" + fleet_seed.encode() + b":" + station.encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(secret)


def public_host_key(fleet_seed: str, station: str) -> str:
    """The same key's public half as in a known_hosts line (RFC 8709 §4): ``ssh-ed25519 AAAA…``."""
    raw = private_host_key(fleet_seed, station).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = b"".join(struct.pack(">I", len(part)) + part for part in (_KIND, raw))
    return f"{_KIND.decode()} {base64.b64encode(blob).decode()}"
