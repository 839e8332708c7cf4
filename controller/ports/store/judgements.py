"""Judgements of KPIs in the last hour, of each station, region and the network."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol

from controller.performance.judgement import Judgement
from controller.ports.store.repository import M_co, Repository, method


class Judgements(Repository[M_co], Protocol[M_co]):
    """The latest judgement of each place."""

    @method
    def put(self, judgements: Iterable[Judgement]) -> None:
        """Put judgements on record in place of older ones; a judgement that is older than the known one is ignored."""
        ...

    @method
    def stations(self, names: Collection[str] | None, since: datetime) -> list[Judgement]:
        """Judgements of these stations, or of all, whose hour ended after a time, by name."""
        ...

    @method
    def places(self) -> list[Judgement]:
        """Judgements of the network and of regions, by level and name."""
        ...

    @method
    def forget(self, before: datetime) -> None:
        """Delete judgements whose hour ended before a time: their place does not exist any more."""
        ...
