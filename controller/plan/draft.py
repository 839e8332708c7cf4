"""A plan in the making."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from controller.models.facts import Finding
from controller.models.network import Network
from controller.models.packing import packed
from controller.models.plan import Changes, Plan
from controller.plan.document import seal
from controller.plan.station import StationPlan


class Draft:
    """What came out for stations so far, in any order and from any thread; changes are packed at once."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._unchanged: list[str] = []
        self._unplanned: dict[str, str] = {}
        self._findings: list[Finding] = []

    def add(self, station: str, made: StationPlan) -> None:
        """What came out for one station."""
        self._findings.extend(made.findings)
        if made.change is not None:
            self._packed[station] = packed(made.change)
        elif made.reason:
            self._unplanned[station] = made.reason
        else:
            self._unchanged.append(station)

    def withhold(self, station: str, reason: str) -> None:
        """Leave out a station after all whose change was added."""
        del self._packed[station]
        self._unplanned[station] = reason

    @property
    def changes(self) -> Changes:
        """All changes, by station."""
        return Changes(dict(sorted(self._packed.items())))

    @property
    def unplanned(self) -> Mapping[str, str]:
        """Stations that are left out, with the reason."""
        return self._unplanned

    def seal(
        self,
        network: Network,
        network_digest: str,
        selector: str,
        created: datetime,
        *,
        removals: Mapping[str, int] | None = None,
        findings: tuple[Finding, ...] = (),
        undoes: str = "",
    ) -> Plan:
        """The plan; ``findings`` are those that came of no station."""
        return seal(
            created=created,
            network=network.header.id,
            network_digest=network_digest,
            selector=selector,
            changes=self.changes,
            unchanged=self._unchanged,
            unplanned=self._unplanned,
            findings=(*findings, *self._findings),
            removals=removals,
            undoes=undoes,
        )
