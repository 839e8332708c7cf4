"""What Minka signs for others to keep: issued statements, and heads of the audit trail. Pure, and needs no record.

A *statement note* names a statement and the SHA-256 of its files. A *trail head* says how large the log of the audit
trail was, and its root (C2SP tlog-checkpoint). An *extension* is a head with the proof that its log extends an earlier
one, in the form in which witnesses get it (C2SP tlog-witness): ``old SIZE``, hashes, an empty line, the head.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from controller.models import merkle
from controller.models.enums import StatementForm
from controller.models.errors import InputError
from controller.models.signed_note import PublicKey, verified

_TITLE = "minka-statement/1"
_TIME = r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z"
_NOTE = re.compile(
    rf"{_TITLE}\n(?P<id>[a-z]+-[a-z0-9-]{{1,64}}-20[0-9]{{2}}-[01][0-9]-v[1-9][0-9]{{0,5}})\n"
    rf"issued (?P<issued>{_TIME})\n"
    rf"(?P<digests>(?:sha256 (?:{'|'.join(StatementForm)}) [0-9a-f]{{64}}\n){{{len(StatementForm)}}})"
)
_HEAD = re.compile(
    rf"(?P<origin>[^\s+]{{1,255}})/trail\n(?P<size>0|[1-9][0-9]{{0,17}})\n(?P<root>[A-Za-z0-9+/]{{43}}=)\n"
    rf"issued (?P<issued>{_TIME})\n"
)
#: Most hashes of a proof: a log has fewer than 2^63 leaves.
_MOST = 64


@dataclass(frozen=True, slots=True)
class StatementNote:
    """The text of a note about an issued statement.

    Attributes:
        id: Name of the statement, as in ``sla-bitel-2026-10-v1``.
        issued: When it was issued, to the second.
        digests: SHA-256 of its files.
    """

    id: str
    issued: datetime
    digests: Mapping[StatementForm, str]

    @property
    def text(self) -> str:
        """The text that is signed."""
        digests = "".join(f"sha256 {form} {self.digests[form]}\n" for form in StatementForm)
        return f"{_TITLE}\n{self.id}\nissued {_written(self.issued)}\n{digests}"

    @classmethod
    def read(cls, note: str, keys: Iterable[PublicKey]) -> tuple[StatementNote, PublicKey]:
        """A note whose signature was verified, and the key that signed.

        Raises:
            InputError: None of the keys signed it, it was changed, or it is another note.
        """
        text, key = verified(note, keys)
        match = _NOTE.fullmatch(text)
        if match is None:
            raise InputError("the signed note is about no statement")
        digests = {StatementForm(line.split()[1]): line.split()[2] for line in match["digests"].splitlines()}
        if len(digests) != len(StatementForm):
            raise InputError("the signed note does not name each form of its statement once")
        return cls(match["id"], _moment(match["issued"]), digests), key

    def form_of(self, content: bytes) -> StatementForm:
        """Which of its files a content is.

        Raises:
            InputError: None of them.
        """
        digest = sha256(content).hexdigest()
        found = next((form for form, known in self.digests.items() if known == digest), None)
        if found is None:
            raise InputError(f"the file is not {self.id} as it was issued: no file of it has the SHA-256 {digest}")
        return found


@dataclass(frozen=True, slots=True)
class TrailHead:
    """The log of the audit trail as it was published.

    Attributes:
        origin: Whose log it is: the name of the key.
        size: Leaves of the log; more than rows of the trail, which is filled up to whole tiles.
        root: Root over them (RFC 9162).
        issued: When it was published, to the second.
    """

    origin: str
    size: int
    root: bytes
    issued: datetime

    @property
    def text(self) -> str:
        """The text that is signed."""
        hashed = base64.b64encode(self.root).decode()
        return f"{self.origin}/trail\n{self.size}\n{hashed}\nissued {_written(self.issued)}\n"

    @classmethod
    def read(cls, note: str, keys: Iterable[PublicKey]) -> tuple[TrailHead, PublicKey]:
        """A head whose signature was verified, and the key that signed.

        Raises:
            InputError: None of the keys signed it, it was changed, or it is another note.
        """
        _, key = verified(note, keys)
        head = cls.parsed(note)
        if head.origin != key.name:
            raise InputError("the signed note is no head of the audit trail of its key")
        return head, key

    @classmethod
    def parsed(cls, note: str) -> TrailHead:
        """A head, whoever signed it. Raises InputError."""
        match = _HEAD.fullmatch(note.rpartition("\n\n")[0] + "\n")
        if match is None:
            raise InputError("the note is no head of an audit trail")
        return cls(match["origin"], int(match["size"]), base64.b64decode(match["root"]), _moment(match["issued"]))


@dataclass(frozen=True, slots=True)
class Extension:
    """A head, with the proof that its log extends an earlier one.

    Attributes:
        earlier: Leaves of the earlier log.
        proof: Hashes of the proof of consistency.
        note: The later head, signed.
    """

    earlier: int
    proof: Sequence[bytes]
    note: str

    @property
    def text(self) -> str:
        """The content of a file."""
        hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in self.proof)
        return f"old {self.earlier}\n{hashes}\n{self.note}"

    @classmethod
    def parsed(cls, text: str) -> Extension:
        """Read the content of a file.

        Raises:
            InputError: It is no extension.
        """
        head, found, note = text.partition("\n\n")
        first, *hashes = head.split("\n")
        match = re.fullmatch(r"old (0|[1-9][0-9]{0,17})", first)
        proof = [_hash(line) for line in hashes[: _MOST + 1]]
        if match is None or not found or len(proof) > _MOST or not all(proof):
            raise InputError("no proof that a log extends an earlier one: old SIZE, hashes, an empty line, a head")
        return cls(int(match[1]), proof, note)

    def check(self, before: TrailHead, keys: Iterable[PublicKey]) -> tuple[TrailHead, PublicKey]:
        """The later head, once it is proved that its log extends that of an earlier one.

        Raises:
            InputError: The signature or the proof does not hold.
        """
        after, key = TrailHead.read(self.note, keys)
        if (after.origin, self.earlier) != (before.origin, before.size):
            raise InputError(f"the proof is about the log {after.origin} of {self.earlier} leaves, not the head before")
        if not merkle.extends(before.size, before.root, after.size, after.root, self.proof):
            raise InputError(
                f"the audit trail of {_written(after.issued)} does not extend that of {_written(before.issued)}: rows "
                "that were there are gone or were changed"
            )
        return after, key


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"the signed note names a time that there is not: {text}") from None


def _hash(line: str) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except ValueError:  # also of what is not ASCII
        return b""
    return found if len(found) == merkle.SIZE else b""
