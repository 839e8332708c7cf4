"""Dispatch packs: what a person who goes to a site because of an alarm has to know, as far as it is on record."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.alarm import ObjectClass, PerceivedSeverity
from controller.models.network import Noun


class TriedRepair(Noun):
    """A repair that was tried, and how it ended.

    Attributes:
        playbook: Its playbook.
        run: Id of its run; empty if none began.
        outcome: State of the rule's proposal, or of the run.
        reason: Why it failed, or who denied it.
    """

    playbook: str
    run: str
    outcome: str
    reason: str
    at: AwareDatetime


class StandingAlarm(Noun):
    """A standing alarm at the place."""

    id: str
    station: str
    object: str
    probable_cause: str
    severity: PerceivedSeverity
    raised: AwareDatetime


class DispatchSite(Noun):
    """Where to go; values that the network files do not have are empty."""

    site: str
    name: str = ""
    region: str = ""
    latitude: float | None = None
    longitude: float | None = None
    people: int = 0
    access: str = ""
    power: str = ""


class DispatchPack(Noun):
    """What a person has to know before the drive.

    Attributes:
        unit: The failed unit, by the device's name of it.
        slot: Its device path or description, as in the alarm.
        part: The part that is likely broken; empty if nobody knows.
        tried: Earlier automatic repairs, oldest first.
        standing: Alarms that stand at the site.
        until: Until when the station still serves on battery or in holdover, as far as the network files say.
        without_service: Tenants that have no service there, each with its cells.
        in_force: Holds in force at the site, in words.
        holds: Commands to enter before anybody climbs or switches off.
    """

    alarm: str
    incident: str
    station: str
    place: DispatchSite | None
    unit: str
    object_class: ObjectClass
    slot: str
    probable_cause: str
    severity: PerceivedSeverity
    text: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    part: str
    tried: tuple[TriedRepair, ...]
    standing: tuple[StandingAlarm, ...]
    without_service: dict[str, tuple[str, ...]]
    in_force: tuple[str, ...]
    holds: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """The pack as text."""
        place = self.place
        lines = [f"{self.probable_cause} ({self.severity.value}) of {self.unit} since {self.since:%Y-%m-%d %H:%M} UTC"]
        if self.until:
            lines.append(f"the station serves until about {self.until:%Y-%m-%d %H:%M} UTC all the same")
        if self.text:
            lines.append(f"it says: {self.text}")
        lines += [f"alarm {self.alarm}, incident {self.incident}, station {self.station}"]
        if place is not None:
            lines.append(
                f"site {place.site} ({place.name}, {place.region}) at {place.latitude:.5f}, {place.longitude:.5f}"
            )
            lines.append(f"access: {place.access or 'the network files do not say'}")
            lines.append(f"power: {place.power or 'the network files do not say'}")
        lines.append(f"unit: {' '.join(dict.fromkeys((self.object_class.value, self.unit, self.slot)))}")
        lines.append(f"likely part: {self.part or 'not known'}")
        lines += [
            f"tried {one.at:%Y-%m-%d %H:%M} UTC: "
            f"{one.playbook} {one.run} {one.outcome}{one.reason and ': '}{one.reason}"
            for one in self.tried
        ] or ["nothing was tried"]
        lines += [
            f"stands there: {one.id} {one.station} {one.object.rpartition('/')[2]} {one.probable_cause} "
            f"{one.severity.value}"
            for one in self.standing
        ]
        lines += [f"without service: {tenant} in {', '.join(cells)}" for tenant, cells in self.without_service.items()]
        lines += [f"hold in force: {hold}" for hold in self.in_force]
        return [*lines, *(f"before you climb: {command}" for command in self.holds)]
