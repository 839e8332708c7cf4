"""One message for several notices of incidents that are due to one receiver together. Pure.

It lists them by the cause that they have in common, with how many incidents, stations and sites; the worst first. It is
made of notices to one side alone, so that it discloses nothing that these do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from controller.intent.impact import Sharing
from controller.intent.incident_news import TELLING
from controller.models.alarm import PerceivedSeverity
from controller.models.approval import Gathered, GatheredCause, GatheredPlaces, Notice
from controller.models.incident import worst
from controller.models.many import first_names
from controller.models.network import Network
from controller.models.scalars import HOST

#: Notices that a message repeats in full, and stations and sites that it names of each cause.
NAMED, PLACES = 20, 8
#: How people list all notices.
LISTING = "minka notices"
_ORDER = {severity: place for place, severity in enumerate(PerceivedSeverity)}


def gather(listed: Sequence[Notice], network: Network) -> Gathered:
    """What these notices of one side come to.

    Args:
        listed: The notices, in the order in which they were written.
        network: Where stations are, and for the host who shares which cells.
    """
    side = listed[0].tenant
    by_cause: dict[str, list[Notice]] = {}
    for one in listed:
        by_cause.setdefault(one.what, []).append(one)
    causes = [
        GatheredCause(what=what, severity=_worst(its), places=_places(its, side, network))
        for what, its in by_cause.items()
    ]
    causes.sort(key=lambda one: (_haste(one.severity), -one.places.incidents, one.what))
    place = {one.what: nth for nth, one in enumerate(causes)}
    ordered = sorted(listed, key=lambda one: (_haste(_standing(one)), place[one.what], one.stations))
    kinds = Counter(one.kind.value for one in listed)
    made = Gathered(
        side=side,
        kinds=dict(sorted(kinds.items())),
        severity=_worst(listed),
        places=_places(listed, side, network),
        causes=tuple(causes),
        incidents=tuple(dict.fromkeys(one.incident for one in ordered)),
        notices=tuple(one.model_copy(update={"sent": None}) for one in ordered[:NAMED]),
        more=max(0, len(listed) - NAMED),
        listing=LISTING,
        text="",
    )
    return made.model_copy(update={"text": "\n".join(_lines(made))})


def _standing(notice: Notice) -> PerceivedSeverity | None:
    """How grave a notice is; None where it says that an incident is over, or goes on elsewhere."""
    return notice.severity if notice.kind in TELLING else None


def _worst(notices: Iterable[Notice]) -> PerceivedSeverity | None:
    found = [severity for one in notices if (severity := _standing(one)) is not None]
    return worst(found) if found else None


def _haste(severity: PerceivedSeverity | None) -> int:
    return len(_ORDER) if severity is None else _ORDER[severity]


def _places(notices: Sequence[Notice], side: str, network: Network) -> GatheredPlaces:
    stations = sorted({station for one in notices for station in one.stations})
    known = [one for one in stations if one in network.station_by_id]
    sites = sorted({network.station_by_id[one].site for one in known})
    tenants: Iterable[str] = ()
    if side == HOST:
        cells = {cell for one in notices for cell in one.cells}
        tenants = Sharing(network, network.day(notices[0].at)).tenants_at(cells)
    return GatheredPlaces(
        incidents=len({one.incident for one in notices}),
        stations=len(stations),
        named=tuple(stations[:PLACES]),
        sites=len(sites),
        regions=tuple(sorted({network.site_by_id[one].region for one in sites})),
        tenants=tuple(tenants),
    )


def _lines(made: Gathered) -> list[str]:
    """A message for people: all in the first line, then each cause, then the first notices."""
    kinds = ", ".join(f"{count} {kind.removeprefix('incident-')}" for kind, count in made.kinds.items())
    grave = f", worst {made.severity.value}" if made.severity is not None else ""
    lines = [f"{made.places.incidents} incidents ({kinds}){grave}{_where(made.places)}", ""]
    for one in made.causes:
        how = "" if one.severity is None else f" ({one.severity.value})"
        count = f"{one.places.incidents} incidents" if one.places.incidents != 1 else "1 incident"
        lines.append(f"{one.what}{how}: {count}{_where(one.places)}")
    lines += ["", *(f"{one.incident} {one.kind.value}: {one.text}" for one in made.notices)]
    return [*lines, f"and {made.more} more: {made.listing}"] if made.more else lines


def _where(places: GatheredPlaces) -> str:
    if not places.stations:
        return ""
    names = first_names([*places.named, *[""] * (places.stations - len(places.named))], PLACES)
    said = f" at {places.stations} station{'s' if places.stations != 1 else ''}: {names}"
    if places.sites:
        said += f"; {places.sites} site{'s' if places.sites != 1 else ''} in {', '.join(places.regions)}"
    return f"{said}; tenants {', '.join(places.tenants)}" if places.tenants else said
