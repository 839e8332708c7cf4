"""A plan for people: the same line on many cells and stations is shown once."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

from controller.cli.answers import read
from controller.cli.output import bold, counted, out, styled
from controller.cli.pager import paged
from controller.cli.tables import Column, table
from controller.models.device_kinds import NAMED_KINDS
from controller.models.many import ADDRESS, VARIES, alike, first_names, lines_of

#: A plan of at most so many lines is shown line by line.
SHORT = 30
#: Most groups of lines, reasons and findings to show; further ones are only counted.
_MOST = 40
#: Codes of information that people need all the same: what is wanted and left out, and what a device has beside ours.
_NEEDED = frozenset({"not-offered", "foreign-element"})
#: What limits the words that nothing is to do, by code of a finding.
_AS_FAR = {"not-read": "the pools that answered show", "not-offered": "it is offered"}
_COLOURS = {"error": "red", "warning": "yellow", "info": "dim"}

#: Numbers in the host's own nodes (PCI, ids): they differ by station where the change is the same.
_NUMBER = re.compile(r"\d[\d.]*")
#: The kind of a device, by the beginning of its nodes' paths; all others are stations.
KINDS = {kind.value.capitalize(): kind.value for kind in NAMED_KINDS}

Row = dict[str, str]
#: Columns that say what changes.
_CHANGED = (Column("what", prose=True), Column("before", 1, prose=True, tells=True), Column("→ after", prose=True))


@dataclass
class Group:
    """Equal lines, and where they apply."""

    row: Row
    kind: str = "stations"
    _before: list[str] = field(default_factory=list)
    _after: list[str] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)

    def add(self, station: str, row: Row) -> None:
        """Add a line of the same kind."""
        self.places.append((station, row["cell"]))
        self._before.append(row["before"])
        self._after.append(row["after"])

    @property
    def before(self) -> str:
        """The present value, with … where the lines differ."""
        return common(self._before)

    @property
    def after(self) -> str:
        """The new value, with … where the lines differ."""
        return common(self._after)

    @property
    def where(self) -> str:
        """Names of stations and cells, or other devices; numbers if there are many."""
        stations = sorted({station for station, _ in self.places})
        cells = [cell for _, cell in self.places if cell]
        if len(stations) == 1:
            named = f"{stations[0]}: {', '.join(sorted(cells))}" if cells else stations[0]
            return named if len(cells) <= 6 else f"{stations[0]}: {counted(len(cells), 'cell')}"
        return f"{len(stations)} {self.kind}" + (f", {counted(len(cells), 'cell')}" if cells else "")


def grouped(lines: Iterable[tuple[str, Row]], kinds: Mapping[str, str] = MappingProxyType({})) -> list[Group]:
    """Lines of (station, row), grouped by content in the order of their first line."""
    groups: dict[tuple[str, ...], Group] = {}
    for station, row in lines:
        kind = kinds.get(station, "station") + "s"
        key = (kind, row["tenant"], _what(row), *(_shape(row, row[side]) for side in ("before", "after")))
        groups.setdefault(key, Group({**row, "what": _what(row)}, kind)).add(station, row)
    return list(groups.values())


def _what(row: Row) -> str:
    """What changes, without the name of the cell, which is shown with the place."""
    words = row["what"].split(" ")
    return " ".join(word for word in words if word.rstrip(":") != row["cell"]) if row["cell"] else row["what"]


def _shape(row: Row, text: str) -> str:
    return (_NUMBER if row["tenant"] in ("", "host") else ADDRESS).sub(VARIES, text)


def without_addresses(text: str) -> str:
    """A text without addresses, which differ by station."""
    return ADDRESS.sub(VARIES, text)


def common(texts: Sequence[str]) -> str:
    """The common words of texts of one shape, with … for the others."""
    if len(set(texts)) == 1:
        return texts[0]
    columns = zip(*(text.split(" ") for text in texts), strict=False)
    return " ".join(words[0] if len(set(words)) == 1 else _masked(words[0]) for words in columns)


def _masked(word: str) -> str:
    return VARIES + word[len(word.rstrip(",;")) :]


# ------------------------------------------------------------------------------ showing


def outage_words(given: Mapping[str, Any]) -> str:
    """The length of an outage in words; empty if there is none."""
    from controller.models.outage import Outage  # noqa: PLC0415 - help takes half of the time without it

    outage = read(Outage, given)
    return str(outage) if outage.interrupts else ""


def off_air_words(given: Mapping[str, Any] | None) -> str:
    """Which of a side's cells go off the air, in words after others; empty if none does."""
    from controller.models.outage import OffAir  # noqa: PLC0415 - as above

    return "" if given is None else f", off the air: {read(OffAir, given)}"


@paged()
def show_plan(made: Mapping[str, Any], *, every: bool = False) -> None:
    """Print a plan for people: changes, devices left out, and findings."""
    lines = [(change["station"], row) for change in made["changes"] for row in change["diff"]]
    if lines and (every or len(lines) <= SHORT):
        show_lines(lines, f"Plan {made['id']}")
    elif lines:
        _show_groups(made["id"], lines, _kinds(made["changes"]))
    if "unplanned" not in made:  # a tenant sees its part
        for change in made["changes"]:
            if change["interrupts"]:
                out.print(f"{change['station']}: interrupted {outage_words(change['outage'])}")
        return
    _show_weak(made["changes"])
    show_left_out(made["unplanned"])
    show_findings(made)


def show_lines(lines: Iterable[tuple[str, Row]], title: str = "") -> None:
    """Print the lines of changes; more than ``_FEW`` in groups unless ``every`` is set."""
    columns = (Column("station"), Column("cell"), Column("tenant"), *_CHANGED)
    keys = ("cell", "tenant", "what", "before", "after")
    table(columns, ((station, *(row[key] for key in keys)) for station, row in lines), title)


def _kinds(changes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Kinds of the devices that are not stations, where the answer has their edits."""
    paths = (
        (change["station"], edit["path"])
        for change in changes
        for phase in change.get("phases", ())
        for edit in phase["edits"]
    )
    return {device: KINDS[name] for device, path in paths if (name := path[1:].partition("[")[0]) in KINDS}


def _show_groups(plan_id: str, lines: Sequence[tuple[str, Row]], kinds: Mapping[str, str]) -> None:
    groups = grouped(lines, kinds)
    table(
        (Column("where", prose=True), Column("tenant"), *_CHANGED),
        ((group.where, group.row["tenant"], group.row["what"], group.before, group.after) for group in groups[:_MOST]),
        f"Plan {plan_id}",
    )
    if len(groups) > _MOST:
        out.print(f"… and {counted(len(groups) - _MOST, 'more kind')} of change")
    out.print(f"{counted(len(lines), 'line')} in all; each of them: minka plans show {plan_id} --all")


def _show_weak(changes: Iterable[Mapping[str, Any]]) -> None:
    """Name the devices without a trustworthy confirmed commit: if Minka dies, nothing takes their change back."""
    weak = [change["station"] for change in changes if not change.get("reverts", True)]
    if weak:
        out.print(
            f"{counted(len(weak), 'device')} can't take a change back without Minka (no confirmed commit that can be "
            "trusted). In their unit they are changed last, unless a router, function or central unit in it sets the "
            f"order. Minka undoes a change of theirs that fails: {first_names(weak, _MOST)}"
        )


def show_left_out(unplanned: Mapping[str, str]) -> None:
    """Name the devices left out, by reason."""
    show_alike(styled("left out", "yellow"), unplanned)


def show_alike(label: Any, said: Mapping[str, str]) -> None:
    """Print what is said of devices, each text once with the number and a few names of its devices."""
    lines = lines_of(said)
    for line in lines[:_MOST]:
        out.print(label, line)
    if len(lines) > _MOST:
        out.print(f"… and {counted(len(lines) - _MOST, 'more reason')}; each device: --json")


def stations_in_short(stations: Sequence[str]) -> str:
    """Names of devices, or their number if there are many."""
    if len(stations) <= 3:
        return ", ".join(stations)
    return f"{len(stations)} devices ({stations[0]} … {stations[-1]})"


def show_findings(made: Mapping[str, Any]) -> None:
    """Print findings, a few of each kind, and how many others stand; of information, that which people need."""
    by_code: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for finding in made["findings"]:
        if finding["severity"] != "info" or finding["code"] in _NEEDED:
            said = (finding.get("station", ""), finding["message"])
            by_code.setdefault((finding["severity"], finding["code"]), []).append(said)
    for (severity, code), messages in sorted(by_code.items()):
        groups = alike(messages)
        for one in groups[:3]:
            about = one.line() if all(one.names) else one.text
            out.print(styled(severity, _COLOURS[severity]), about)
        if left := sum(len(one.names) for one in groups[3:]):
            out.print(f"… and {left} more of {code}")
    if others := made.get("elsewhere"):
        concern = "concerns" if others == 1 else "concern"
        left_out = f"{counted(others, 'other contract warning')} {concern} none of these devices"
        out.print(f"{left_out}; all of them: minka network check DIRECTORY", soft_wrap=True)


def show_extent(made: Mapping[str, Any], extent: Mapping[str, int]) -> None:
    """Print what a plan comes to, in one line."""
    nodes = f"{extent['added']:,} added, {extent['changed']:,} changed, {extent['removed']:,} removed"
    orphaned = sum(made["orphans"]["nodes"].values()) if made.get("orphans") else 0
    left = f", {orphaned:,} orphaned" if orphaned else ""
    switched = f"{_cells(extent['cells_locked'])} locked"
    switched += f", {_cells(extent['cells_unlocked'])} unlocked" if extent["cells_unlocked"] else ""
    out.print(bold(f"{nodes}{left}; {switched}, {extent['people']:,} people reached"))


def _cells(count: int) -> str:
    return f"{count:,} {'cell' if count == 1 else 'cells'}"


class Conclusion(NamedTuple):
    """The end of a plan: what it does in sentences, and the next commands; a text for each line."""

    said: list[str]
    commands: list[str]


def show_conclusion(made: Mapping[str, Any]) -> None:
    """Print the end of a plan. Lines with commands are never broken, so that they can be copied."""
    said, commands = conclusion(made)
    for line in said:
        out.print(line)
    for line in commands:
        out.print(line, soft_wrap=True)


def conclusion(made: Mapping[str, Any]) -> Conclusion:
    """The plan in a sentence, and the next commands."""
    changes, unplanned, orphans = made["changes"], made["unplanned"], made.get("orphans")
    unchanged, noun = len(made["unchanged"]), _noun(made["selector"])
    left_out = f"; {len(unplanned)} left out" if unplanned else ""
    stay = "stays as it is" if unchanged == 1 else "stay as they are"
    left = _left_by_runs(made["findings"])
    if changes:
        said = f"{_change_words(made)}; {unchanged} {stay}{left_out}."
    elif unplanned and not unchanged:
        said = f"Nothing planned: {_all(len(unplanned), noun)} left out."
    elif orphans or left:
        said = f"Nothing planned: {counted(unchanged, noun)} {stay}{left_out}."
    else:
        codes = {one["code"] for one in made["findings"]}
        limits = [words for code, words in _AS_FAR.items() if code in codes]
        as_far = f", as far as {' and '.join(limits)}" if limits else ""
        said = f"Nothing to do: {_carry(unchanged, noun)} should{as_far}{left_out}."
    observed_only, adopt = _adopt_hint(made)
    orphaned, remove = _orphan_hint(orphans, made["selector"]) if orphans else ([], [])
    apply = [f"Apply it with: minka apply {made['id']}"] if changes else []
    return Conclusion([said, *left, *observed_only, *orphaned], [*adopt, *apply, *remove])


def _left_by_runs(findings: Sequence[Mapping[str, str]]) -> list[str]:
    """What runs that diverged left on devices, which the network files do not ask for, and no plan changes."""
    locked = sorted({f"{one['station']}/{one['cell']}" for one in findings if one["code"] == "left-locked"})
    gone = sorted({one["station"] for one in findings if one["code"] == "gone-on-record"})
    are = "is" if len(locked) == 1 else "are"
    said = [f"{', '.join(locked)} {are} off the air: a run that diverged left {counted(len(locked), 'cell')} locked."]
    other = [f"{', '.join(gone)}: what is on record as ours is not all there; see the findings."]
    return [*(said if locked else ()), *(other if gone else ())]


def _orphan_hint(orphans: Mapping[str, Any], selector: str) -> Conclusion:
    """What stays on devices although nothing asks for it any more, and the command that plans its removal."""
    nodes, remove = orphans["nodes"], orphans["remove"]
    owners = " and ".join(f"{counted(count, 'node')} of {owner}" for owner, count in nodes.items())
    are, asks = ("is", "it") if sum(nodes.values()) == 1 else ("are", "them")
    said = f"{owners} on {counted(orphans['devices'], 'device')} {are} orphaned: nothing asks for {asks} any more."
    if not remove:
        return Conclusion([said, "Orphaned nodes stay that hold nodes which have to stay."], [])
    words = ["minka", "plan", *([selector] if selector != "*" else [])]
    words += [word for owner, count in remove.items() for word in ("--remove", f"{owner}={count}")]
    words += ["--expect", str(orphans["expect_stations"])] if orphans["expect_stations"] else []
    words += ["--identities"] if orphans["identities"] else []
    which = "the orphaned nodes" if _all_go(nodes, remove) else "those orphaned nodes that may go"
    return Conclusion(
        [said], [f"{'Then remove' if orphans['afterwards'] else 'Remove'} {which} with: {shlex.join(words)}"]
    )


def _all_go(nodes: Mapping[str, int], remove: Mapping[str, int]) -> bool:
    return all(remove.get(owner, 0) >= count for owner, count in nodes.items())


def _change_words(made: Mapping[str, Any]) -> str:
    changes = made["changes"]
    touched = sorted({tenant for change in changes for tenant in change["touched"]})
    # A change that only unlocks cells interrupts nothing: service comes back.
    interrupting = [change for change in changes if not _only_unlocks(change)]
    interrupted = sorted({tenant for change in interrupting for tenant in change["interrupted"]})
    from controller.models.outage import Outage, OutageKind  # noqa: PLC0415 - as above

    outage = Outage.worst(read(Outage, change["outage"]) for change in interrupting)
    words = [f"Plan {made['id']}: {_number(changes)} for {', '.join(touched) or 'the host'}"]
    if outage.interrupts:
        others = f", interrupting {', '.join(interrupted)} too" if interrupted else ""
        lasts = f"for up to {outage.seconds} s" if outage.kind is OutageKind.TIMED else str(outage)
        words.append(f"cells are off air {lasts}{others}")
    if back := sum(len(_freed(change)) for change in changes):
        words.append(f"puts {counted(back, 'cell')} back on the air")
    if lost := {tenant for change in changes for tenant in change.get("withdrawn", ())}:
        cells = sum(len({*chain.from_iterable(change.get("withdrawn", {}).values())}) for change in changes)
        words.append(f"{', '.join(sorted(lost))}: outage for good in {counted(cells, 'cell')}")
    if made["removals"]:
        words.append(
            "removes " + ", ".join(f"{counted(n, 'node')} of {tenant}" for tenant, n in made["removals"].items())
        )
    return "; ".join(words)


def _freed(change: Mapping[str, Any]) -> set[str]:
    """Cells that a change only unlocks: it neither locks nor makes them."""
    edits = [(phase.get("kind"), edit) for phase in change.get("phases", ()) for edit in phase["edits"]]
    unlocked = {edit["path"] for kind, edit in edits if kind == "unlock"}
    return unlocked - {edit["path"] for kind, edit in edits if kind == "lock" or edit.get("op") == "create"}


def _only_unlocks(change: Mapping[str, Any]) -> bool:
    kinds = {phase.get("kind") for phase in change.get("phases", ())}
    return kinds == {"unlock"}


def _number(changes: Sequence[Mapping[str, Any]]) -> str:
    kinds = _kinds(changes)
    counts = Counter(kinds.get(change["station"], "station") for change in changes)
    named = [
        f"{count} {kind}" + ("s" if count > 1 else "")
        for kind, count in sorted(counts.items(), key=lambda one: (one[0] != "station", one[0]))
    ]
    return " and ".join(named) + (" changes" if len(changes) == 1 else " change")


def _adopt_hint(made: Mapping[str, Any]) -> Conclusion:
    """How many devices are left out because they were not adopted, and the command that adopts them."""
    count = len(made.get("observed_only", ()))
    if not count:
        return Conclusion([], [])
    noun, (them, were) = _noun(made["selector"]), ("it is", "was") if count == 1 else ("they are", "were")
    said = f"Minka changes only {noun}s that were adopted; {count} of these {were} not, so {them} only observed."
    return Conclusion([said], [f"Adopt them with: minka device adopt {shlex.quote(made['selector'])}"])


def _noun(selector: str) -> str:
    """What a selector selects: devices of any kind, unless its keys name one kind."""
    return next((kind.value for kind in NAMED_KINDS if f"{kind}=" in selector), "device")


def _all(count: int, noun: str) -> str:
    return f"the only {noun} is" if count == 1 else f"all {count} {noun}s are"


def _carry(count: int, noun: str) -> str:
    return f"1 {noun} carries what it" if count == 1 else f"{count} {noun}s carry what they"
