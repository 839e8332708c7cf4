"""Measurements of stations (TS 28.552, TS 32.425), as they were counted in one granularity period."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class Period(Noun):
    """One full granularity period.

    Attributes:
        job: Id of the measurement job (PerfMetricJob of TS 28.623) that it belongs to.
        begin: By the station's clock, as is ``end``.
        suspect: Whether the station did not run all the time.
        values: Counters by measured object and name, as in ``RRC.ConnEstabAtt.mo-Data``.
    """

    job: str
    begin: AwareDatetime
    end: AwareDatetime
    suspect: bool = False
    values: dict[str, dict[str, float]] = {}


class Ratio(Noun):
    """A key performance indicator: how much went well of how much.

    Attributes:
        good: What went well.
        total: Of how much: attempts, or seconds.
    """

    good: float
    total: float

    @property
    def percent(self) -> float:
        """It in percent; 100 of nothing."""
        return 100.0 if not self.total else 100.0 * self.good / self.total
