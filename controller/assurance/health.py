"""Health of a station from one read of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from controller.models.alarm import AlarmReport, PerceivedSeverity
from controller.models.health import Health, LinkHealth
from controller.models.network import HOST
from controller.models.run import LedgerEntry
from controller.nrm.profiles import administrative_state, cells, link_up, links, on_air
from controller.nrm.tree import Path
from controller.ports.devices import Observed

#: Probable causes of alarms raised here.
CORE_LINK_DOWN = "core-link-down"
CONFIGURATION_DRIFT = "configuration-drift"
UNREACHABLE = "station-unreachable"
#: What drift is about: the station as a whole.
STATION = "station"


def health_of(station: str, observed: Observed, ledger: Mapping[Path, LedgerEntry], drift: int, at: datetime) -> Health:
    """Cells on air, core links up and drift, as the station says it itself.

    Links that are not in the ledger belong to nobody known and are left out.
    """
    entries = cells(observed.tree)
    return Health(
        station=station,
        at=at,
        reachable=True,
        cells={entry.cell: on_air(observed, entry.path) for entry in entries},
        locked=tuple(sorted(e.cell for e in entries if administrative_state(observed.tree, e.path) != "UNLOCKED")),
        links=tuple(
            LinkHealth(
                path=link.path, tenant=_tenant(ledger[link.path]), kind=link.kind, up=link_up(observed, link.path)
            )
            for link in links(observed.tree)
            if link.path in ledger
        ),
        drift=drift,
    )


def reports_of(before: Health | None, now: Health) -> tuple[AlarmReport, ...]:
    """What two reads in a row have to say to the alarm list.

    A link or a drift is reported when both reads saw it, since a change under way passes through
    states that one read may catch; what is well again is reported as cleared at once.
    """
    if not now.reachable:
        return (_report(now, STATION, UNREACHABLE, PerceivedSeverity.MAJOR, "the station can't be reached"),)
    found = [_report(now, STATION, UNREACHABLE, PerceivedSeverity.CLEARED, "")]
    down_before = {link.path for link in before.links if not link.up} if before else set()
    for link in now.links:
        if link.up:
            found.append(_report(now, link.path, CORE_LINK_DOWN, PerceivedSeverity.CLEARED, "", link.tenant))
        elif link.path in down_before:
            text = f"{link.kind} link of {link.tenant} is down"
            found.append(_report(now, link.path, CORE_LINK_DOWN, PerceivedSeverity.MAJOR, text, link.tenant))
    if not now.drift:
        found.append(_report(now, STATION, CONFIGURATION_DRIFT, PerceivedSeverity.CLEARED, ""))
    elif before is not None and before.drift:
        text = f"{now.drift} managed values differ from what was applied"
        found.append(_report(now, STATION, CONFIGURATION_DRIFT, PerceivedSeverity.WARNING, text))
    return tuple(found)


def _tenant(entry: LedgerEntry) -> str:
    return entry.owners[0] if entry.owners and entry.owners[0] != HOST else ""


def _report(
    health: Health, what: str, cause: str, severity: PerceivedSeverity, text: str, tenant: str = ""
) -> AlarmReport:
    return AlarmReport(
        station=health.station,
        object=what,
        tenant=tenant,
        probable_cause=cause,
        severity=severity,
        text=text,
        source="check",
        at=health.at,
    )
