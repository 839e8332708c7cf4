"""Signed notes: text with Ed25519 signatures that anybody verifies who has the public keys, offline.

The format is that of C2SP signed-note (https://c2sp.org/signed-note), which transparency logs use: lines of text, an
empty line, and a line for each signature. A public key is a line ``NAME+ID+KEY``, so that a file of keys is text too.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from controller.models.errors import InputError

#: Longest note, and most signatures in it, that are looked at.
LONGEST, _MOST = 1 << 20, 64
#: The algorithm byte of Ed25519 in keys.
_ED25519 = b"\x01"
_NAME = r"[^\s+]{1,255}"
_KEY = re.compile(rf"(?P<name>{_NAME})\+(?P<id>[0-9a-f]{{8}})\+(?P<key>[A-Za-z0-9+/]{{44}})")
_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE = re.compile(rf"\u2014 (?P<name>{_NAME}) (?P<signature>[A-Za-z0-9+/]{{8,1024}}={{0,2}})")
_RIGHT = "a public key is NAME+ID+KEY, as `minka evidence keys` prints it"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures.

    Attributes:
        name: Whose key it is.
        key: Its 32 bytes.
    """

    name: str
    key: bytes

    @classmethod
    def parsed(cls, line: str) -> PublicKey:
        """Read a key from its line.

        Raises:
            InputError: The line is no key, or its id belongs to another one.
        """
        match = _KEY.fullmatch(line.strip())
        key = _decoded(match["key"]) if match else b""
        if match is None or key[:1] != _ED25519 or len(key) != 33:
            raise InputError(f"not an Ed25519 public key; {_RIGHT}")
        found = cls(match["name"], key[1:])
        if found.id.hex() != match["id"]:
            raise InputError(
                f"the id of the public key {match['name']} should be {found.id.hex()}: a character is wrong"
            )
        return found

    @classmethod
    def found_in(cls, text: str, file: str) -> tuple[PublicKey, ...]:
        """Keys in the lines of a file; empty lines and those that begin with ``#`` are passed over.

        Raises:
            InputError: A line is no key, named by file and line; or there is none.
        """
        found = []
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                found.append(cls.parsed(line))
            except InputError as error:
                raise InputError(f"{file}:{number}: {error.message}") from error
        if not found:
            raise InputError(f"{file} holds no key; {_RIGHT}")
        return tuple(found)

    @property
    def id(self) -> bytes:
        """The id that signatures name: four bytes of a hash over name and key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    @property
    def line(self) -> str:
        """The key as a line of text."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.key).decode()}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether a signature of this key belongs to a text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs.

    Attributes:
        name: Whose key it is.
        seed: Its 32 secret bytes.
    """

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def parsed(cls, line: str) -> SigningKey:
        """Read a key from its line, ``PRIVATE+KEY+NAME+ID+SEED``.

        Raises:
            InputError: The line is no key; the message never holds its content.
        """
        match = _KEY.fullmatch(line.strip().removeprefix(_PRIVATE))
        seed = _decoded(match["key"]) if match else b""
        found = cls(match["name"], seed[1:]) if match and len(seed) == 33 and seed[:1] == _ED25519 else None
        if match is None or found is None or not line.startswith(_PRIVATE) or found.public.id.hex() != match["id"]:
            raise InputError(f"not a key that signs; a line is {_PRIVATE}NAME+ID+SEED")
        return found

    @property
    def line(self) -> str:
        """The key as a line of a file that only its owner reads."""
        return f"{_PRIVATE}{self.name}+{self.public.id.hex()}+{base64.b64encode(_ED25519 + self.seed).decode()}"

    @property
    def public(self) -> PublicKey:
        """The key that verifies."""
        return PublicKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """A note of a text, whose last line ends with a line feed."""
        if not text.endswith("\n") or "\n\n" in text:
            raise ValueError("the text of a note has lines, none of them empty")
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        signed = base64.b64encode(self.public.id + signature).decode()
        return f"{text}\n\u2014 {self.name} {signed}\n"


def verified(note: str, keys: Iterable[PublicKey]) -> tuple[str, PublicKey]:
    """The text of a note, and the key of these that signed it.

    Raises:
        InputError: It is no note, none of the keys signed it, or one of them signed another text.
    """
    text, found, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")[:-1]
    if len(note) > LONGEST or not found or not signatures.endswith("\n") or not 0 < len(lines) <= _MOST:
        raise InputError("not a signed note: lines of text, an empty line, and a line for each signature")
    text += "\n"
    known = {(key.name, key.id): key for key in keys}
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise InputError("not a signed note: a line after the empty one is no signature")
        signature = _decoded(match["signature"])
        key = known.get((match["name"], signature[:4]))
        if key is None:
            continue  # others may sign too, such as witnesses
        if not key.verifies(text, signature[4:]):
            raise InputError(
                f"the signature of {key.name} ({key.id.hex()}) does not belong to this text: it was changed"
            )
        return text, key
    raise InputError("none of the given keys signed it")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
