"""Plans as documents: a draft that is sealed by its content hash, canonical JSON, comparison."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from pydantic import ValidationError

from controller.intent.findings import with_kinds
from controller.inventory.explain import explain
from controller.inventory.parse import FORMS
from controller.models.errors import InputError
from controller.models.facts import Finding
from controller.models.network import Network
from controller.models.packing import packed
from controller.models.plan import PLAN_FORMAT, Change, Changes, DiffRow, Op, Orphans, Plan
from controller.plan.station import StationPlan


def seal(
    *,
    created: datetime,
    network: str,
    network_digest: str,
    selector: str,
    changes: Iterable[Change],
    unchanged: Sequence[str] = (),
    unplanned: Mapping[str, str] | None = None,
    observed_only: Iterable[str] = (),
    findings: Sequence[Finding] = (),
    removals: Mapping[str, int] | None = None,
    undoes: str = "",
    orphans: Orphans | None = None,
    elsewhere: int = 0,
) -> Plan:
    """A plan with its id and digest, after everything is put into canonical order."""
    plan = Plan(
        id="",
        digest="",
        created=created,
        network=network,
        network_digest=network_digest,
        selector=selector,
        changes=Changes(dict(sorted(Changes.of(changes).packed.items()))),
        unchanged=tuple(sorted(unchanged)),
        unplanned=dict(sorted((unplanned or {}).items())),
        observed_only=tuple(sorted(observed_only)),
        findings=tuple(sorted(findings, key=_finding_order)),
        removals=dict(sorted((removals or {}).items())),
        undoes=undoes,
        orphans=orphans,
        elsewhere=elsewhere,
    )
    digest = plan_digest(plan)
    return plan.model_copy(update={"id": digest[:12], "digest": digest})


def plan_digest(plan: Plan) -> str:
    """SHA-256 of the canonical JSON of everything but id, digest and created, hex."""
    digest = hashlib.sha256()
    for part in _json_parts(plan, {"id", "digest", "created"}):
        digest.update(part)
    return digest.hexdigest()


def plan_to_json(plan: Plan) -> bytes:
    """Canonical JSON: sorted keys, no blanks, one line."""
    return b"".join(json_parts(plan))


def json_parts(plan: Plan) -> Iterator[bytes]:
    """``plan_to_json`` part by part, change by change."""
    yield from _json_parts(plan, set())
    yield b"\n"


def _json_parts(plan: Plan, exclude: set[str]) -> Iterator[bytes]:
    yield b'{"changes":['  # the first of the sorted keys
    for index, content in enumerate(plan.changes.packed.values()):
        yield (b"," if index else b"") + zlib.decompress(content)
    rest = _canonical(plan.model_dump(mode="json", exclude={*exclude, "changes"}))
    yield b"]," + rest.removeprefix(b"{")


def plan_from_json(data: bytes | str) -> Plan:
    """Read a plan that ``plan_to_json`` wrote.

    Raises:
        InputError: It is no plan, of another format version, or its content is not what its digest says.
    """
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(f"this is no plan: {error}") from error
    if not isinstance(raw, dict) or "format" not in raw:
        raise InputError("this is no plan: it does not name its format")
    if raw["format"] != PLAN_FORMAT:
        raise InputError(f"plans of format {raw['format']} can't be read here, only format {PLAN_FORMAT}")
    try:
        plan = Plan.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"this is no plan: {where}: {explain(first, FORMS)[0]}") from error
    if plan_digest(plan) != plan.digest or plan.id != plan.digest[:12]:
        raise InputError(f"plan {plan.id} was altered: its content does not have the digest that it names")
    return plan


@dataclass(frozen=True, slots=True)
class PlanDifference:
    """One line of a comparison: what only one of the two plans does on a station."""

    station: str
    only_in: str
    text: str


def compare(a: Plan, b: Plan) -> tuple[PlanDifference, ...]:
    """Differences between two plans, in words; empty if they do the same."""
    found: list[PlanDifference] = []
    for station in sorted({*a.changes.packed, *b.changes.packed}):
        mine, theirs = a.changes.on(station), b.changes.on(station)
        one, other = _lines(mine), _lines(theirs)
        found.extend(PlanDifference(station, a.id, line) for line in one if line not in other)
        found.extend(PlanDifference(station, b.id, line) for line in other if line not in one)
        if one == other and mine != theirs:
            found.append(PlanDifference(station, "both", "the same edits on another state of the station"))
    for station in sorted({*a.unplanned, *b.unplanned}):
        reasons = (a.unplanned.get(station), b.unplanned.get(station))
        if reasons[0] != reasons[1]:
            found.extend(
                PlanDifference(station, plan.id, f"left out: {reason}")
                for plan, reason in zip((a, b), reasons, strict=True)
                if reason
            )
    return tuple(found)


def _lines(change: Change | None) -> list[str]:
    return [_line(row) for row in change.diff] if change else []


def _line(row: DiffRow) -> str:
    cell = f"cell {row.cell}: " if row.cell else ""
    return f"{cell}{row.tenant}: {row.what}: {row.before} → {row.after}"


def _canonical(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _finding_order(finding: Finding) -> tuple[str, ...]:
    return (
        finding.station,
        finding.cell,
        finding.code,
        finding.agreement,
        finding.tenant,
        finding.message,
    )


# ----------------------------------------------------------------------- draft


@dataclass(frozen=True, slots=True)
class Outline:
    """Summary of one change for checks of the whole plan, so that the change need not be unpacked again.

    Attributes:
        removes: Nodes deleted, by owner.
        creates: Whether an entry is made.
        deletes: Whether one is deleted.
    """

    station: str
    removes: Mapping[str, int]
    creates: bool
    deletes: bool

    @classmethod
    def of(cls, change: Change) -> Outline:
        """The outline of a change."""
        ops = {edit.op for phase in change.phases for edit in phase.edits}
        return cls(change.station, change.removes, Op.CREATE in ops, Op.DELETE in ops)


class Draft:
    """Results for stations so far, in any order and from any thread; changes are packed at once."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}
        self._outlines: dict[str, Outline] = {}
        self._unchanged: list[str] = []
        self._unplanned: dict[str, str] = {}
        self._observed_only: list[str] = []
        self._findings: list[Finding] = []

    def add(self, station: str, made: StationPlan) -> None:
        """Add the result for one station."""
        self._findings.extend(made.findings)
        if made.change is not None:
            self._packed[station] = packed(made.change)
            self._outlines[station] = Outline.of(made.change)
        elif made.reason:
            self._unplanned[station] = made.reason
            self._observed_only += [station] if made.observed_only else []
        else:
            self._unchanged.append(station)

    def change_of(self, station: str) -> Change | None:
        """The change of a station so far; None if it has none."""
        return Changes(self._packed).on(station)

    def withhold(self, station: str, reason: str) -> None:
        """Leave out a station whose change was added."""
        del self._packed[station], self._outlines[station]
        self._unplanned[station] = reason

    @property
    def changes(self) -> Changes:
        """All changes, by station."""
        return Changes(dict(sorted(self._packed.items())))

    @property
    def outlines(self) -> tuple[Outline, ...]:
        """Outlines of all changes, by station."""
        return tuple(self._outlines[station] for station in sorted(self._outlines))

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
        orphans: Orphans | None = None,
        elsewhere: int = 0,
    ) -> Plan:
        """The sealed plan; ``findings`` are those that belong to no station, without ``elsewhere`` others."""
        return seal(
            created=created,
            network=network.header.id,
            network_digest=network_digest,
            selector=selector,
            changes=self.changes,
            unchanged=self._unchanged,
            unplanned=self._unplanned,
            observed_only=self._observed_only,
            findings=with_kinds(network, (*findings, *self._findings)),
            removals=removals,
            undoes=undoes,
            orphans=orphans,
            elsewhere=elsewhere,
        )
