"""Dispatch packs: what a person who goes to a site because of an alarm has to know, as far as it is on record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime

from controller.models.alarm import ObjectClass, PerceivedSeverity
from controller.models.incident import Suspect
from controller.models.many import first_names
from controller.models.network import BackhaulKind, Noun

#: Most alarms of one cause that stand one by one; most cells and stations to name.
_FEW, _NAMED = 3, 10


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

    @property
    def words(self) -> str:
        """Its name and position, as far as they are known."""
        named = ", ".join(filter(None, (self.name, self.region)))
        name = f"{self.site} ({named})" if named else self.site
        if self.latitude is None or self.longitude is None:
            return f"{name}, whose position is not known"
        return f"{name} at {_position(self.latitude, self.longitude)}"


class LinkEnd(Noun):
    """An end of a link of the backhaul: a node of it, or a site.

    Attributes:
        latitude: None where the network files do not have its position; so ``longitude``.
        sites: Sites at a node without a position, which are near it: the first few.
    """

    name: str
    latitude: float | None = None
    longitude: float | None = None
    sites: tuple[DispatchSite, ...] = ()

    @property
    def words(self) -> str:
        """Where it is, as far as the network files say it."""
        if self.latitude is not None and self.longitude is not None:
            return f"{self.name} at {_position(self.latitude, self.longitude)}"
        near = "; ".join(one.words for one in self.sites)
        return f"{self.name}: the network files have no position of it" + (f"; sites there: {near}" if near else "")


class DispatchLink(Noun):
    """The link that is likely cut.

    Attributes:
        kind: Its technology.
        ends: The end away from the core, then the other one; that alone is missing where the network files have none.
        route: Its way, in words; empty where the network files do not say it.
        sure: Whether nothing else explains the fault as well.
    """

    kind: BackhaulKind
    ends: tuple[LinkEnd, ...]
    route: str = ""
    sure: bool = True

    @property
    def lines(self) -> list[str]:
        """The link as text."""
        names = " and ".join(one.name for one in self.ends)
        far = [] if len(self.ends) > 1 else ["the network files do not say where its other end is"]
        cut = "likely cut" if self.sure else "may be cut"
        return [
            f"{cut}: {self.kind.value} {'at' if far else 'between'} {names}",
            *(f"end {one.words}" for one in self.ends),
            *far,
            f"route: {self.route or 'the network files do not say'}",
        ]


def _position(latitude: float, longitude: float) -> str:
    return f"{latitude:.5f}, {longitude:.5f}"


class DispatchPack(Noun):
    """What a person has to know before the drive.

    Attributes:
        timezone: Time zone of the place, in which its text gives times; the network's where no place is known.
        link: The link of the backhaul that is likely cut; None for other faults, and where a device behind it works.
        suspects: Places where the fault may be, the nearest first; empty for faults that have one place.
        unit: The failed unit, by the device's name of it.
        slot: Its device path or description, as in the alarm.
        part: The part that is likely broken; empty if nobody knows.
        tried: Earlier automatic repairs, oldest first.
        standing: Alarms that stand at the site, or of an object without a site, those of its incident: the first ones.
        standing_in_all: Number of all of these.
        until: Until when the station serves on battery or in holdover, as far as the network files say; None if dark.
        is_over: Whether that time is over.
        dark: Whether a station on battery or in holdover is not known to serve any more.
        without_service: Tenants that have no service there, each with its cells.
        in_force: Holds in force at the site, in words.
        holds: Commands to enter before anybody climbs or switches off.
    """

    alarm: str
    incident: str
    station: str
    place: DispatchSite | None
    timezone: str = "UTC"
    link: DispatchLink | None = None
    suspects: tuple[Suspect, ...] = ()
    unit: str
    object_class: ObjectClass
    slot: str
    probable_cause: str
    severity: PerceivedSeverity
    text: str
    since: AwareDatetime
    until: AwareDatetime | None = None
    is_over: bool = False
    dark: bool = False
    part: str
    tried: tuple[TriedRepair, ...]
    standing: tuple[StandingAlarm, ...]
    standing_in_all: int = 0
    without_service: dict[str, tuple[str, ...]]
    in_force: tuple[str, ...]
    holds: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """The pack as text, with times of the place."""
        lines = [f"{self.probable_cause} ({self.severity.value}) of {self.unit} since {self._local(self.since)}"]
        lines.append(f"times are local: {self.timezone}")
        if self.dark:
            lines.append("the station is dark: it can't be reached any more, or all of its cells are off air")
        elif self.until and self.is_over:
            lines.append(f"its reserve was to last until about {self._local(self.until)}: it may go dark at any time")
        elif self.until:
            lines.append(f"the station serves until about {self._local(self.until)} all the same")
        if self.text:
            lines.append(f"it says: {self.text}")
        station = f", station {self.station}" if self.station else ""
        lines.append(f"alarm {self.alarm}, incident {self.incident}{station}")
        if self.place is not None:
            lines.append(f"site {self.place.words}")
            lines.append(f"access: {self.place.access or 'the network files do not say'}")
            lines.append(f"power: {self.place.power or 'the network files do not say'}")
        if self.link is not None:
            lines += self.link.lines
        if len(self.suspects) > 1:
            lines.append("what is known does not tell these places apart, so find out before you drive:")
            lines += [f"may be {one.line}" for one in self.suspects]
        lines.append(f"unit: {' '.join(dict.fromkeys((self.object_class.value, self.unit, self.slot)))}")
        lines.append(f"likely part: {self.part or 'not known'}")
        lines += [
            f"tried {self._local(one.at)}: {one.playbook} {one.run} {one.outcome}{one.reason and ': '}{one.reason}"
            for one in self.tried
        ] or ["nothing was tried"]
        lines += [f"stands there: {said}" for said in self._standing()]
        lines += [
            f"without service: {tenant} in {first_names(cells, _NAMED)}"
            for tenant, cells in self.without_service.items()
        ]
        lines += [f"hold in force: {hold}" for hold in self.in_force]
        return [*lines, *(f"before you climb: {command}" for command in self.holds)]

    def _local(self, at: datetime) -> str:
        """A time at the place to the minute, with its offset from UTC; in UTC where this machine knows no such zone."""
        try:
            zone: tzinfo = ZoneInfo(self.timezone)
        except (LookupError, OSError, ValueError):
            zone = UTC
        return at.astimezone(zone).isoformat(" ", "minutes")

    def _standing(self) -> Iterator[str]:
        """The alarms that stand; those of many stations with one cause are one line."""
        alike: dict[tuple[str, str], list[StandingAlarm]] = {}
        for one in self.standing:
            alike.setdefault((one.probable_cause, one.severity.value), []).append(one)
        for (cause, severity), found in alike.items():
            if len(found) <= _FEW:
                for one in found:
                    yield f"{one.id} {one.station} {one.object.rpartition('/')[2]} {cause} {severity}"
            else:
                where = first_names(list(dict.fromkeys(one.station or one.object for one in found)), _NAMED)
                yield f"{len(found)} alarms {cause} {severity} ({where})"
        if (left := self.standing_in_all - len(self.standing)) > 0:
            yield f"{left} more"
