"""The playbook language: content of one YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from controller.models.errors import InputError
from controller.models.network import NAMED_KINDS, Identifier, Network, Noun
from controller.models.run import LONGEST_PATIENCE, LONGEST_TIMER, OnHold, Policy, Strategy
from controller.models.sharing import MaintenanceWindow
from controller.playbook.language.expressions import ABSENT, evaluate, may_hold
from controller.playbook.language.parameters import Parameter, VariableName
from controller.runs.procedures import PROCEDURES

#: The action that carries out the plan of a run.
APPLY_INTENT = "apply-intent"
#: Names that expressions know in every playbook.
TARGET, RUN, OUTPUT = "target", "run", "output"
RESERVED = frozenset({TARGET, RUN, OUTPUT, "true", "false", "none", "and", "or", "not", "if", "else", "in", "is"})
#: Members of the first two.
TARGET_MEMBERS = (
    "station",
    "owner",
    *(kind.value for kind in NAMED_KINDS),
    "virtual",
    "site",
    "region",
    "cells",
)
RUN_MEMBERS = ("id", "requested_by", "reason")


def target_names(network: Network, station: str) -> dict[str, Any]:
    """What expressions know as ``target``, by ``TARGET_MEMBERS``."""
    kind = network.device_kinds[station]
    owned = network.station_by_id.get(station) or network.function_by_id.get(station)
    values = (
        station,
        (owned.owner if owned is not None else None) or "",
        *(kind is one for one in NAMED_KINDS),
        station in network.endpoint_function,
        network.site_of(station),
        network.region_of(station),
        [cell.id for cell in network.cells_by_station.get(station, ())],
    )
    return dict(zip(TARGET_MEMBERS, values, strict=True))


#: Placeholder for a number of nodes that a refusal asks for: no plan removes that many.
_ASKED = -1


def removals(text: str) -> dict[str, int]:
    """Nodes that may be removed by owner, from ``bitel=102 host=3``.

    Raises:
        InputError: It reads otherwise, or names two numbers for an owner.
    """
    found: dict[str, int] = {}
    for word in text.split():
        owner, _, count = word.partition("=")
        if not owner or not (count.isdecimal() or count == "?"):
            raise InputError(f"{word!r} does not name owner and number of nodes, as in bitel=102")
        number = _ASKED if count == "?" else int(count)
        if found.setdefault(owner, number) != number:
            raise InputError(f"{word!r}: another number of nodes of {owner} stands before it; name one")
    return found


def count_of(value: Any) -> int:
    """A number of devices. Raises InputError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise InputError(f"{value!r} is not a number of devices")


def _not_built_in(name: str) -> str:
    if name in PROCEDURES:
        raise ValueError("a built-in procedure has this name")
    return name


#: Name of a playbook; no built-in procedure has such a name.
PlaybookName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64),
    AfterValidator(_not_built_in),
    Field(description="Lower-case words joined by hyphens, as the file is called; not `apply`."),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
#: Longest soak in seconds.
LONGEST_SOAK = 7 * 86400
_SHARE = re.compile(r"(\d{1,3})%")


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _soak(value: Any) -> Any:
    found = _number(value)
    if not isinstance(found, int | str) or (isinstance(found, int) and not 0 <= found <= LONGEST_SOAK):
        raise ValueError(f"from 0 to {LONGEST_SOAK} seconds, or an expression")
    return found


def _size(value: Any) -> Any:
    if isinstance(value, str) and (found := _SHARE.fullmatch(value)):
        if not 1 <= int(found[1]) <= 100:
            raise ValueError("from 1% to 100%")
        return value
    return _number(value)


class Waves(Noun):
    """How a run goes through its stations; see ``controller.models.run.Strategy``.

    Attributes:
        policy: What is confirmed or taken back together: each ``station`` on its own, a ``unit``, or a whole ``wave``.
        canary: Stations in the first wave, on their own.
        by: `region` or `site`: one after the other, each in waves of its own.
        last: Selector of stations that come after all others (of their region or site); an expression.
        wave_size: Stations in each later wave, a number or a share of all as in ``10%``. Tracking areas are never cut.
        per_region: Most stations of one region in each later wave.
        parallel: Stations at once.
        stop_after: Number of failures after which nothing more starts.
        soak: Seconds between the end of a wave and the start of the next; an expression or a number.
        patience: Seconds to keep trying an unreachable or busy station before it ends ``deferred``.
        confirm_timeout: Seconds of each confirmed commit; by default they follow from checks and groups.
        check_timeout: Seconds to wait for cells, core links and alarms before a confirm.
    """

    policy: Policy = Policy.STATION
    canary: int = Field(default=1, ge=0)
    wave_size: Annotated[int | str, BeforeValidator(_size), Field(json_schema_extra={"pattern": "^[0-9]+%?$"})] = 50
    per_region: int | None = Field(default=None, ge=1)
    by: Literal["region", "site"] | None = None
    last: str | None = None
    parallel: int = Field(default=500, ge=1)
    stop_after: int = Field(default=1, ge=1)
    soak: Annotated[int | str, BeforeValidator(_soak)] = 0
    patience: int = Field(default=0, ge=0, le=LONGEST_PATIENCE)
    confirm_timeout: int | None = Field(default=None, ge=5, le=LONGEST_TIMER)
    check_timeout: int = Field(default=30, ge=1, le=1800)

    @model_validator(mode="after")
    def _numbers(self) -> Waves:
        if isinstance(self.wave_size, str) and not _SHARE.fullmatch(self.wave_size):
            raise ValueError("wave_size is a number, or a share as in 10%")
        if isinstance(self.wave_size, int) and self.wave_size < 1:
            raise ValueError("wave_size is at least 1")
        return self

    def strategy(self, stations: int, soak: int) -> Strategy:
        """The strategy for a number of stations, whose waves stand for so long."""
        size = self.wave_size
        if isinstance(size, str):
            size = max(1, stations * int(size.removesuffix("%")) // 100)
        return Strategy(**self.model_dump(exclude={"wave_size", "by", "last", "soak"}), wave_size=size, soak=soak)


class ReachLimits(Noun):
    """How far a run may reach, else it is refused (see ``Guards``)."""

    max_stations: int | None = Field(default=None, ge=1)
    max_cells: int | None = Field(default=None, ge=1)
    max_tenants: int | None = Field(default=None, ge=1)
    max_people: int | None = Field(default=None, ge=0)


class Guards(ReachLimits):
    """How far a run may reach, else it is refused; and who approves it before.

    Attributes:
        max_stations: Stations in the run.
        max_cells: Cells of those stations; where all steps that take service name their cells, these.
        max_tenants: Tenants on those stations (with a plan: those it touches or interrupts).
        max_people: Population of those stations' sites.
        approvals: Number of the host's approvers, other than the person who asks for the run, that must approve
            before it begins.
        windows: When it may work, whatever it does; by default whenever agreements, regions and sites allow it.
        on_hold: Whether a run leaves out stations under a hold, or is refused, unless who asks for it says otherwise.
    """

    approvals: int = Field(default=0, ge=0, le=10)
    windows: tuple[MaintenanceWindow, ...] = ()
    on_hold: OnHold = OnHold.REFUSE


class PlanSource(StrEnum):
    """What the plan of a run is about: the current files, what was last applied, what was before, a core endpoint."""

    NETWORK = "network"
    APPLIED = "applied"
    RECORDED = "recorded"
    ENDPOINT = "endpoint"


class PlanLimit(Noun):
    """The part of the network files that the plan is about; all else stays as the stations have it. Expressions.

    Attributes:
        tenant: Only nodes of this tenant alone.
        slice: Of these only what this slice needs, SST and SD as in ``1-0000D1``.
    """

    tenant: str
    slice: str | None = None


class PlanSection(Noun):
    """The plan that is made when a run is accepted, and bound to it.

    Attributes:
        source: ``network``: bring stations to the current network files. ``applied``: bring them back to what
            was last applied. ``recorded``: bring them back to ``state``. ``endpoint``: delete the core endpoints
            ``endpoint`` of ours and create them again as they were. With the last three, holds and locks that are not
            ours keep stations out.
        state: With source ``recorded``: the run before which, or the time at which, it was so; an expression.
        endpoint: With source ``endpoint``: path of the core endpoint, or its last part, as in
            ``EP_S1C[bitel-mme-1]``; several are joined by blanks; an expression.
        limit: With source ``network``: the part of it that the plan is about.
        remove: Nodes that may be removed by owner, as ``minka plan --remove`` names them: ``bitel=102``, several
            joined by blanks; ``bitel=?`` asks for the number, and is refused with it. An expression.
        expect_stations: Number of stations that the plan touches, where that is a large share; an expression.
        only_tenant: The one tenant whose nodes the plan may touch, or the run is refused; an expression.
        adopt: With source ``network``: stations that are observe-only are adopted when the run is accepted.
        beneath: With source ``network``: what has to be there before is planned too: functions that the stations are
            made of and that run nowhere yet, and pools that lack the namespace or the priority class of a function.
        identities: With source ``network``: PLMNs of global node ids and primary PLMNs of cells may change. Else they
            stay as they are on air, or keep the station out.
        reserved: With source ``network``: PLMNs that come on air on LTE cells admit their operator's test users only,
            until ``open-plmns`` opens them.
        again: With source ``applied``: nodes that were brought back within the last day, and drifted again, refuse
            the run (something else writes them), unless this expression is true.
    """

    source: PlanSource = PlanSource.NETWORK
    state: str | None = None
    endpoint: str | None = None
    limit: PlanLimit | None = None
    remove: str | None = None
    expect_stations: str | None = None
    only_tenant: str | None = None
    adopt: bool = False
    beneath: bool = False
    identities: bool = False
    reserved: bool = False
    again: str | None = None

    @model_validator(mode="after")
    def _belong(self) -> PlanSection:
        belongs = {
            "state": (PlanSource.RECORDED, self.state is not None),
            "endpoint": (PlanSource.ENDPOINT, self.endpoint is not None),
            "limit": (PlanSource.NETWORK, self.limit is not None),
            "adopt": (PlanSource.NETWORK, self.adopt),
            "beneath": (PlanSource.NETWORK, self.beneath),
            "identities": (PlanSource.NETWORK, self.identities),
            "reserved": (PlanSource.NETWORK, self.reserved),
            "again": (PlanSource.APPLIED, self.again is not None),
        }
        wrong = [name for name, (source, given) in belongs.items() if given and source is not self.source]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} does not belong to source {self.source}")
        if self.source is PlanSource.RECORDED and self.state is None:
            raise ValueError("source recorded needs state")
        if self.source is PlanSource.ENDPOINT and self.endpoint is None:
            raise ValueError("source endpoint needs endpoint")
        return self


class Undo(Noun):
    """How a finished step is taken back, where its change's own inverse is not what is wanted.

    Attributes:
        action: What to do.
        with_: Its inputs, expressions allowed.
    """

    action: Identifier
    with_: dict[str, Any] = Field(default={}, alias="with")


_NO_LOOP = "a step runs once on each device; its inputs name several objects, as in cells: [B28-1, B28-2]"


class Step(Noun):
    """One step, done on each station.

    Attributes:
        name: Name for people and for the record.
        action: What to do; see the reference.
        with_: Its inputs, expressions allowed.
        when: An expression; the step is skipped where it is not true.
        retries: Further tries of a step that failed and changed nothing.
        retry_seconds: Seconds before each further try.
        timeout: Seconds that a step which only reads may take; what changes a device has the strategy's timers.
        register_: Name under which later expressions find the action's output.
        checks: Expressions that must be true afterwards, else the step fails; ``output`` is the action's output.
        undo: How to take it back when a later step fails; by default a change is taken back by its own inverse.
    """

    ELSEWHERE = {
        "loop": _NO_LOOP,
        "with_items": _NO_LOOP,
        "until": 'checks, as in ["{{ output.changed }}"], with retries tries it again',
        "delay": "retry_seconds is the time between two tries",
        "ignore_errors": "a step that fails ends the job, and what was done is undone; when leaves a step out",
    }

    name: Text
    action: Identifier
    with_: dict[str, Any] = Field(default={}, alias="with")
    when: str | None = None
    retries: int = Field(default=0, ge=0, le=10)
    retry_seconds: float = Field(default=5, ge=0, le=3600)
    timeout: float | None = Field(default=None, gt=0, le=86400)
    register_: VariableName | None = Field(default=None, alias="register")
    checks: tuple[str, ...] = ()
    undo: Undo | None = None


class Playbook(Noun):
    """One playbook.

    Attributes:
        name: Name of the file without `.yaml`.
        description: What it does, for people.
        parameters: Values that a person gives, by name.
        targets: Selector of its stations. Expressions over parameters are allowed, except over those that may be any
            text.
        routers: Whether the adopted routers of their sites are included, each after the stations of its site. Where
            there is a plan, those that it changes do.
        stations: Whether the stations that live in a function are included, each after it. Of a function that is the
            endpoint of none, nothing is.
        on_pool: Of functions, only those that are on this pool by the ledger; an expression.
        on_node: Of these, only those with a pod on this node of that pool; and the pool, in a wave before all others;
            an expression.
        rebalances: Whether it is about functions that a new placement of all puts on another pool, and no others.
        strategy: Waves, soak and timers.
        guards: Limits of its reach.
        plan: The plan that is bound to a run; needed by ``apply-intent``.
        steps: What is done on each station, in order.
        soak_checks: What must hold on each station of a wave once it has stood for ``strategy.soak`` seconds; they
            only read. Where one fails, the whole wave is undone and the run stops. A station that none of them
            concerns (``when``) doesn't stand.
    """

    ELSEWHERE = {
        "hosts": "targets is the selector of the devices, as in region=cusco",
        "tasks": "steps is the list of what is done",
        "vars": "parameters are the values that a person gives",
        "mode": "rules have modes: minka rules promote lets a rule act, and a playbook runs when somebody asks for it",
    }

    name: PlaybookName
    description: Text
    parameters: dict[VariableName, Parameter] = {}
    targets: Text
    routers: bool = False
    stations: bool = False
    on_pool: str | None = None
    on_node: str | None = None
    rebalances: bool = False
    strategy: Waves = Waves()
    guards: Guards = Guards()
    plan: PlanSection | None = None
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=100)]
    soak_checks: Annotated[tuple[Step, ...], Field(max_length=50)] = ()

    @property
    def restores(self) -> bool:
        """Whether its plan brings back what is on record, and nothing new."""
        return self.plan is not None and self.plan.source in (PlanSource.APPLIED, PlanSource.ENDPOINT)

    def may_run(self, names: Mapping[str, Any]) -> tuple[tuple[Step, ...], dict[str, Any]]:
        """Steps that may run on a device, and the names with those that no step will register there.

        Args:
            names: Names that are known already, such as parameters and ``target``.
        """
        found, known = [], dict(names)
        for step in self.steps:
            if may_hold(step.when, known):
                found.append(step)
            elif step.register_ is not None:
                known[step.register_] = ABSENT
        return tuple(found), known

    def soak_seconds(self, parameters: Mapping[str, Any]) -> int:
        """How long each wave stands.

        Raises:
            InputError: The expression results in no such number.
        """
        seconds = evaluate(self.strategy.soak, parameters)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= LONGEST_SOAK:
            raise InputError(f"strategy.soak is {seconds!r}, which is not a number of seconds from 0 to {LONGEST_SOAK}")
        return seconds
