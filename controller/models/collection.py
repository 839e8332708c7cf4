"""Collections: when performance data of a station is fetched, and the results so far."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class Collection(Noun):
    """The collection of one station's performance data.

    Attributes:
        due: When it is collected next.
        since: Since when it is collected; earlier periods are not missing.
        tried: Time of the last attempt; None before the first one.
        received: When its data last came.
        newest: End of the newest period on record, by the station's clock.
        missing: Periods of the last day that are not on record.
        failures: Failed attempts in a row.
        turns: Collections in a row after which the station had more files.
        reason: Error code of the last attempt; empty if it succeeded.
        again: Names of refused files that are fetched once more, since they may have been incomplete.
        holder: Worker that collects it now, or had to.
    """

    station: str
    due: AwareDatetime
    since: AwareDatetime
    tried: AwareDatetime | None = None
    received: AwareDatetime | None = None
    newest: AwareDatetime | None = None
    missing: int = 0
    failures: int = 0
    turns: int = 0
    reason: str = ""
    again: tuple[str, ...] = ()
    holder: str = ""
