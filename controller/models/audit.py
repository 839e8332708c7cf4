"""Evidence about the audit trail: anchors outside of the database, and the first break."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Self

from pydantic import AwareDatetime, Field

from controller.models.network import Noun

_LINE = re.compile(r"minka-audit epoch=([0-9]{1,18}) number=([0-9]{1,18}) hash=([0-9a-f]{64})")


class AuditAnchor(Noun):
    """An audit row as it was published outside of the database while it was the newest row.

    Attributes:
        epoch: Number of the last decision which of two records is right; 0 before the first.
        number: Number of the row; 0 if there was none yet.
    """

    epoch: int = Field(default=0, ge=0, lt=10**18)
    number: int = Field(ge=0, lt=10**18)
    hash: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def text(self) -> str:
        """The anchor as a line for files and log collectors."""
        return f"minka-audit epoch={self.epoch} number={self.number} hash={self.hash}"

    @classmethod
    def found_in(cls, text: str) -> Iterator[Self]:
        """Anchors in the lines of a text, which may contain anything else."""
        for epoch, number, digest in _LINE.findall(text):
            yield cls(epoch=int(epoch), number=int(number), hash=digest)


class PublishedHead(Noun):
    """A head of the log of the audit trail, as it was published and signed.

    Attributes:
        size: Leaves of the log.
        note: The signed note, for others to keep.
    """

    size: int
    issued: AwareDatetime
    note: str


class AuditBreak(Noun):
    """The first audit row that is not as it was written, and what is wrong with it."""

    number: int
    reason: str
