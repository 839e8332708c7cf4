"""Collections: when performance data of a station is fetched, and how that goes."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class Collection(Noun):
    """The collection of one station's performance data.

    Attributes:
        due: When it is collected next.
        since: Since when it is collected: what it measured before nobody misses.
        tried: When it was last collected, or that failed; None before the first time.
        received: When data of it last came.
        newest: End of the newest period on record, by the station's clock.
        missing: Periods that are not on record, of the last day.
        failures: Times in a row that it could not be asked.
        reason: Code of the error of the last time, empty where it went well.
        again: Names of files that were of no use and are fetched once more, since they may not have been whole.
        holder: Worker that collects it now, or was to.
    """

    station: str
    due: AwareDatetime
    since: AwareDatetime
    tried: AwareDatetime | None = None
    received: AwareDatetime | None = None
    newest: AwareDatetime | None = None
    missing: int = 0
    failures: int = 0
    reason: str = ""
    again: tuple[str, ...] = ()
    holder: str = ""
