"""The time line of an incident for people: what was done to many of its alarms alike is one entry. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from controller.models.enums import APART
from controller.models.many import first_names, shape_of

Json = Mapping[str, Any]
#: Stands for a row of the audit trail that can't be read.
UNREADABLE = "unreadable"
#: Rows that are alike join an entry as long as no more time lies between two of them.
_PAUSE = timedelta(minutes=5)
#: What people say is never joined, though they say it twice.
_SAID = "comment."
#: Details that say why or what, the first of them that a row has.
_WORDS = ("why", "note", "text", "cause", "reason", "tenants", "into")
#: Details that say what an act has set, by action. Acts that set something else are never joined.
_SETS: Mapping[str, tuple[str, ...]] = {
    "switch.set": ("on",),
    "rule.mode-set": ("mode", "scope"),
    "hold.put": ("until",),
    "freeze.put": ("begins", "ends"),
}


@dataclass(slots=True)
class TimelineEntry:
    """Rows of the audit trail that say the same of different alarms or incidents.

    Attributes:
        at: Time of the first row, in ISO form; ``until`` of the last; empty for a row that can't be read.
        objects: Ids, without repetition, in order.
        places: Stations of these, as far as they are known; each once.
        rows: Number of rows.
        words: What they have in common as text, such as a cause or reason; empty if nothing.
        detail: Details that are the same in all rows.
        sets: What was set, such as the end of a hold or the mode of a rule, in the words of the audit trail.
    """

    at: str
    until: str
    actor: str
    action: str
    objects: dict[str, None]
    words: str
    detail: dict[str, Any]
    places: dict[str, None] = field(default_factory=dict)
    rows: int = 1
    sets: dict[str, str] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """Its objects in short: an id, or a number with a few names."""
        if len(self.objects) == 1:
            (only,) = self.objects
            return only if self.rows == 1 else f"{only} {self.rows} times"
        return (
            f"{len(self.objects)} {self.action.partition('.')[0]}s ({first_names(list(self.places or self.objects))})"
        )


def timeline_of(story: Json) -> list[TimelineEntry]:
    """The time line of an incident or report as the API has it, in the order of the first row of each entry."""
    stations = {one["id"]: one["station"] for one in story.get("alarms", ()) if one.get("station")}
    return joined(story.get("timeline", ()), stations)


def neighbours_of(story: Json) -> list[str]:
    """Incidents at the same place that an incident is no part of, and which are no part of it, with the reasons."""
    within = {story.get("id", ""), story.get("merged_into", ""), *parts_of(story)}
    rows = (row["detail"] for row in story.get("timeline", ()) if row["action"] == APART)
    rows = (detail for detail in rows if detail.get("beside", "") not in {"", *within})
    return list(dict.fromkeys(f"{detail['beside']}: {detail.get('why', '')}" for detail in rows))


def parts_of(story: Json) -> list[str]:
    """Incidents that are part of this one now, in the order in which they became that."""
    into: dict[str, str] = {}
    for row in story.get("timeline", ()):
        if row["action"] in ("incident.merged", "incident.split"):
            into.pop(row["object"], None)
            into[row["object"]] = row["detail"].get("into", "")
    return [incident for incident, whole in into.items() if whole == story["id"]]


def joined(rows: Iterable[Json], stations: Mapping[str, str]) -> list[TimelineEntry]:
    """Rows of the audit trail, oldest first, with those that are alike joined.

    Args:
        rows: Rows as JSON.
        stations: Stations of alarms, by id.
    """
    entries: list[TimelineEntry] = []
    last: dict[tuple[str, ...], TimelineEntry] = {}
    for row in rows:
        if row["at"] is None:
            entries.append(TimelineEntry("", "", "", UNREADABLE, {f"row {row['id']}": None}, "", {}))
            continue
        detail, about = row["detail"], row["object"]
        words = next((str(detail[name]) for name in _WORDS if detail.get(name)), "")
        sets = {name: str(detail.get(name) or "") for name in _SETS.get(row["action"], ())}
        key = (row["actor"], row["action"], shape_of(about, words), *sets.values())
        place = stations.get(about) or str(detail.get("station", ""))
        known = last.get(key)
        if known is None or row["action"].startswith(_SAID) or _apart(known.until, row["at"]):
            known = TimelineEntry(row["at"], row["at"], row["actor"], row["action"], {about: None}, words, dict(detail))
            known.sets = sets
            last[key] = known
            entries.append(known)
        else:
            known.until, known.rows = row["at"], known.rows + 1
            known.objects[about] = None
            known.words = words if words == known.words else key[2]
            known.detail = {name: value for name, value in known.detail.items() if detail.get(name) == value}
        if place:
            known.places[place] = None
    return entries


def _apart(earlier: str, later: str) -> bool:
    return datetime.fromisoformat(later) - datetime.fromisoformat(earlier) > _PAUSE
