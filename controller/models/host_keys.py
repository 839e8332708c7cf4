"""Public host keys of network files, and why one can't be a key (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4)."""

from __future__ import annotations

from base64 import b64decode

#: The prime of the curve nistp256 and its constant b (FIPS 186-4 §D.1.2.3): y² = x³ - 3x + b.
_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
#: Shortest modulus of an RSA key that our SSH libraries take, in bits.
_SHORTEST = 1024


def host_key_problem(text: str) -> str:
    """Why a host key as in a known_hosts line can't be read, in words; empty if it can.

    A key that differs from the station's and still is one can't be told here: only the station shows that.
    """
    kind, _, encoded = text.partition(" ")
    try:
        content = b64decode(encoded, validate=True)
    except ValueError:
        return "its second part is not base64, or ends early"
    parts = _strings(content)
    if parts is None:
        return f"its second part ends early or goes on too long, at {len(content)} bytes"
    name, *rest = parts or [b""]
    if name != kind.encode():
        shown = name.decode("ascii", "replace") if name.isascii() and name.decode().isprintable() else ""
        return f"it says {kind}, and its second part is a key of " + (repr(shown[:40]) if shown else "no kind")
    return "" if _IS_KEY[kind](rest) else f"its second part is no key of {kind}"


def _strings(content: bytes) -> list[bytes] | None:
    """The strings of which a key consists, each behind its length (RFC 4251 §5); None if a length is wrong."""
    found = []
    while content:
        end = 4 + int.from_bytes(content[:4])
        if len(content) < max(4, end):
            return None
        found.append(content[4:end])
        content = content[end:]
    return found


def _is_ed25519(parts: list[bytes]) -> bool:
    return [len(part) for part in parts] == [32]


def _is_nistp256(parts: list[bytes]) -> bool:
    if len(parts) != 2 or parts[0] != b"nistp256" or len(parts[1]) != 65 or parts[1][0] != 4:
        return False
    x, y = int.from_bytes(parts[1][1:33]), int.from_bytes(parts[1][33:])
    return max(x, y) < _PRIME and (y * y - x * x * x + 3 * x - _B) % _PRIME == 0


def _is_rsa(parts: list[bytes]) -> bool:
    if len(parts) != 2:
        return False
    exponent, modulus = (int.from_bytes(part, signed=True) for part in parts)
    return min(exponent, modulus) >= 3 and exponent % 2 == modulus % 2 == 1 and modulus.bit_length() >= _SHORTEST


_IS_KEY = {"ssh-ed25519": _is_ed25519, "ecdsa-sha2-nistp256": _is_nistp256, "ssh-rsa": _is_rsa}
