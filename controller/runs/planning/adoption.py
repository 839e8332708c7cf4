"""Outcomes of adopting a device: codes with their parameters, of which words are made for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from controller.models.enums import AdoptionCode
from controller.nrm.containers import elements_in_words, foreign_in_words


@dataclass(frozen=True, slots=True)
class AdoptionOutcome:
    """The outcome for one device.

    Attributes:
        code: Whether it was adopted, and if not, why.
        nodes: Number of its nodes that are on record now.
        foreign: Ids of managed elements that it carries beside or instead of its own: a person agreed to those of a
            device that was adopted.
        own: Whether it carries its own, too.
        unread: Why it could not be read.
    """

    device: str
    code: AdoptionCode
    nodes: int = 0
    foreign: tuple[str, ...] = ()
    own: bool = False
    unread: str = ""

    @property
    def words(self) -> str:
        """The outcome for people."""
        match self.code:
            case AdoptionCode.ADOPTED:
                beside = f", beside {elements_in_words(self.foreign)}" if self.foreign else ""
                return f"adopted, {self.nodes} nodes{beside}"
            case AdoptionCode.EMPTY:
                return "adopted, with nothing yet: its function is not there"
            case AdoptionCode.FOREIGN:
                return f"not adopted: {foreign_in_words(self.device, self.foreign, beside=self.own)}"
            case AdoptionCode.UNREAD:
                return self.unread
            case _:
                assert_never(self.code)
