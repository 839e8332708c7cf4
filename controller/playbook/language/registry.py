"""The registry of actions: typed functions that steps name.

An action either reads (or waits, or notifies) and returns what it saw, or it proposes: it returns a Change or
operations, which the engine puts on record and carries out as a device transaction. No action has a way of its own
to change a device.
Third parties add theirs by entry points of the group ``minka.actions``, each naming what ``action`` made.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Annotated, Any, Final, Generic, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

from pydantic import Discriminator, Field, SecretStr, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from controller.intent.placement import Choice
from controller.inventory.explain import explain
from controller.inventory.parse import FORMS
from controller.inventory.source import FieldPath, show
from controller.models.alarm import Alarm
from controller.models.cloud import ClusterState
from controller.models.equipment import Equipment, Operation
from controller.models.errors import InputError
from controller.models.facts import Owners
from controller.models.health import Health, ServiceState
from controller.models.measurement import Measured, Period
from controller.models.network import CellId, DeviceKind, Network, Noun
from controller.models.outage import NO_OUTAGE, UNKNOWN_OUTAGE, Outage
from controller.models.plan import Change
from controller.models.question import Question
from controller.models.run import LedgerEntry, Outcome
from controller.models.sharing import ActionClass
from controller.nrm.tree import Observed, Path
from controller.performance.kpis import Kpi
from controller.plan import StationPlan
from controller.ports.clock import Clock

#: Types of inputs that are secrets.
_SECRET = (SecretStr, SecretStr | None)
#: Entry points of third parties' actions.
GROUP = "minka.actions"

#: The channel where none is named.
WEBHOOK = "webhook"

Output = TypeVar("Output", bound=Noun)


class DeviceAccess(StrEnum):
    """What an action does with the device: nothing, read it, or change it."""

    NONE = "none"
    READS = "reads"
    CHANGES = "changes"


class Repeat(StrEnum):
    """What happens to a step that a dead worker had begun: repeat it, read back and resume it, or let it fail."""

    SAFE = "safe"
    READ_BACK = "read-back"
    NEVER = "never"


#: Text of a step that has nothing to change.
NOTHING = "nothing to change"

#: What is said instead of names for all of ours. A list of names is never that, also if it is empty.
ALL: Final = "all"
_NAMES = "names"
Item = TypeVar("Item")


def _form(given: Any) -> str | None:
    """Whether a selection says ``all`` or has names in a list; None for anything else.

    In a list the word would be the name of something, which nobody means.
    """
    if given == ALL:
        return ALL
    return _NAMES if isinstance(given, list | tuple) and ALL not in given else None


#: Names in a list, which may be empty for none; or the word ``all``.
Selection = Annotated[
    Annotated[tuple[Item, ...], Tag(_NAMES)] | Annotated[Literal["all"], Tag(ALL)],
    Discriminator(
        _form, custom_error_type="selection", custom_error_message="names in a list, or the word all without a list"
    ),
]


class CellNames(Noun):
    """Inputs of an action that is about cells of the device and no others: tenants of its other cells are not asked.

    An empty list names none, as when an earlier step found none; that all are meant has to be said.
    """

    cells: Selection[CellId] = Field(description="Cells by their names, none for an empty list; or `all` of ours.")


@dataclass(frozen=True, slots=True)
class Within:
    """Marks a list of names in an output: all of them are among those that this input names.

    So it is known whom a later step can concern that takes its names from there, before they are known.
    """

    input: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """Marks a text in an output: it is one of those in the list that this input is, or any where that is empty."""

    input: str


class Remarks(Noun):
    """Output of an action that may have a remark.

    Attributes:
        remark: What people should know of it although all is well; reported with the step and the job's outcome.
    """

    remark: str = Field(default="", description="What people should know although all is well; usually empty.")


@dataclass(frozen=True, slots=True)
class UnmetCondition:
    """A condition that an action checked or waited for, and that does not hold.

    Attributes:
        lasting: In a dry run, whether nothing that the run does before makes it hold.
    """

    reason: str
    outcome: Outcome = Outcome.FAILED_SAFE
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Postponement:
    """The step can only wait until a time, or until somebody answers: the job releases its worker meanwhile."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal(Generic[Output]):
    """A change of the station (None for nothing) or operations on it, and the action's output.

    Attributes:
        foreseen: In a dry run, what it would do where that can't be worked out before it is due.
    """

    change: Change | None
    output: Output
    operations: tuple[Operation, ...] = ()
    foreseen: str = ""

    @property
    def outage(self) -> Outage:
        """The outage that it causes; how long an operation takes is not known."""
        if self.change is not None:
            return self.change.worst_outage
        return UNKNOWN_OUTAGE if any(operation.kind.interrupts for operation in self.operations) else NO_OUTAGE

    @property
    def says(self) -> str:
        """Its effect on the station, in words."""
        return self.words(self.outage)

    def words(self, outage: Outage) -> str:
        """The same, where its outage is known better: later steps may end it."""
        if self.foreseen:
            return self.foreseen
        if self.change is not None and self.change.only_unlocks:
            return "service comes back"
        words = f"outage {outage}" if outage.interrupts else "no outage"
        if self.operations:
            asks = "asks for " + ", then ".join(str(operation) for operation in self.operations)
            return f"{asks}; {words}" if outage.interrupts else asks
        return NOTHING if self.change is None else words

    @property
    def remark(self) -> str:
        """A remark for people, although all is well."""
        return self.output.remark if isinstance(self.output, Remarks) else ""


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """A question that a step puts to people.

    Attributes:
        per: Whom it is asked for: ``run`` asks once, ``wave`` once a wave, ``station`` each.
        seconds: Seconds to wait for an answer.
    """

    text: str
    choices: tuple[str, ...]
    default: str
    per: Literal["run", "wave", "station"]
    seconds: float


@dataclass(frozen=True, slots=True)
class LinkBehind:
    """A core link of a station that depends on the device; unknown if the station can't be read."""

    station: str
    path: Path
    owners: Owners
    state: ServiceState

    @property
    def up(self) -> bool:
        """Whether it is known to work."""
        return self.state is ServiceState.UP


class Context(Protocol):
    """What an action can see and ask for.

    Attributes:
        station: The station.
        profiles: Its profiles.
        network: The current network.
        planned: What the run's plan does on the station; None where it does nothing there.
        clock: All time.
        key: Unique to this step on this station, the same when it is repeated.
        since: When the run was accepted; None in a dry run.
        dry_run: Whether this is one: nothing is waited for, and nobody gets a message.
        sources: What addresses of software that stations download begin with.
        applied: Changes of the playbook on the station so far.
    """

    @property
    def applied(self) -> tuple[Change, ...]: ...  # noqa: D102
    @property
    def station(self) -> str: ...  # noqa: D102 - described above
    @property
    def profiles(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def network(self) -> Network: ...  # noqa: D102
    @property
    def planned(self) -> Change | None: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def since(self) -> datetime | None: ...  # noqa: D102
    @property
    def dry_run(self) -> bool: ...  # noqa: D102
    @property
    def sources(self) -> tuple[str, ...]: ...  # noqa: D102

    async def read(self) -> Observed:
        """The station as it is now. Raises DeviceError."""
        ...

    async def foresee_locked(self, cells: Collection[Path]) -> tuple[Path, ...]:
        """Those of the cells that the run shuts down and that are locked from here on, in a dry run.

        For a step that waits until they are: their last users leave at a time that nobody knows.
        """
        ...

    async def foresee_acts(self, paths: Collection[Path]) -> tuple[Path, ...]:
        """Those of the cells and core links whose state, in a dry run, nobody knows since the run acted on them."""
        ...

    @property
    def unforeseen(self) -> tuple[str, ...]:
        """Names of steps that may have changed the device before, and that a dry run could not work out."""
        ...

    async def equipment(self, station: str = "") -> Equipment:
        """Units and software of the station, or another one, as they are now. Raises DeviceError."""
        ...

    async def measurements(self, station: str = "") -> tuple[Period, ...]:
        """The latest full period of each measurement job of the station, or another one. Raises DeviceError."""
        ...

    async def recorded(self, begin: datetime, end: datetime, stations: Collection[str]) -> list[Measured]:
        """Periods of 15 minutes of these stations that are on record, by station and time."""
        ...

    async def kpis(self) -> tuple[Kpi, ...]:
        """Definitions of indicators that were in force when the run was accepted."""
        ...

    async def acted(self) -> datetime | None:
        """When the run first acted on the station; None if it has not."""
        ...

    async def ledger(self) -> Mapping[Path, LedgerEntry]:
        """Nodes that are ours on the station. Raises ConflictError while it is observe-only."""
        ...

    async def alarms(self) -> list[Alarm]:
        """Its standing alarms."""
        ...

    async def alarm(self, alarm_id: str) -> Alarm:
        """An alarm on record. Raises NotFoundError."""
        ...

    async def drift(self, *, repairable: bool = False) -> int:
        """How many managed nodes differ from what was last applied. Raises ConflictError while it is observe-only.

        With ``repairable``, without primary PLMNs that stand first no more: no repair puts them first.
        """
        ...

    async def displaced_primaries(self) -> tuple[str, ...]:
        """Primary PLMNs that stand first no more, each with the one that does and the way back, in words."""
        ...

    async def neighbours(self, tenant: str, within: str) -> Mapping[str, Mapping[Path, LedgerEntry]]:
        """Ledgers of shared stations of its ``region`` or ``site`` that the tenant's agreements reach."""
        ...

    async def left_behind(self, station: str) -> Mapping[str, Mapping[Path, LedgerEntry]]:
        """Nodes of ours on adopted routers of a station's site, by router, that nobody needs without the station.

        A tenant that another station of the site carries, or that an agreement brings to one in service, needs them.
        Raises ConflictError on a router while the station carries any of ours.
        """
        ...

    async def lock_holder(self, cell: str) -> str:
        """Who locked a cell of the station, in words: a step of this playbook, or a run; empty if none of ours did."""
        ...

    async def links_behind(self) -> tuple[LinkBehind, ...]:
        """Core links of ours on the stations of its site."""
        ...

    async def restoration(self) -> StationPlan:
        """The plan that brings the station back to what was applied there, or to the network files if nothing was.

        Cells that were locked when it was last read stay so. Raises as ``ledger`` and ``read``.
        """
        ...

    async def served(self) -> frozenset[str]:
        """Tenants with nodes of ours on the stations that the function serves."""
        ...

    async def on_pools(self) -> tuple[str, ...]:
        """Pools that the function is on by the ledger, the one that it came to last first."""
        ...

    async def cluster(self, pool: str) -> ClusterState:
        """Nodes and pods of a pool as they are now. Raises DeviceError."""
        ...

    async def former(self, since: datetime) -> Mapping[Path, LedgerEntry]:
        """The function's ledger before its present release, if that came after ``since``.

        Empty where it was not, or where the function went back to its present release since then.
        """
        ...

    async def another_pool(self, avoid: Collection[str]) -> Choice:
        """Where the function would go if it had to leave these pools, with all others that are down now.

        No pool under a hold is one, nor one that is away or full, nor one on which all functions are down.
        """
        ...

    async def scaling_refusal(self, replicas: int) -> str:
        """Why its pool can't have so many replicas: room, bought capacity or quota; empty if it can."""
        ...

    async def rebalanced(self) -> Choice:
        """Where the function would go if all could move."""
        ...

    async def in_service(self, station: str = "") -> bool:
        """Whether the station, or another one, is in service: not retired, or adopted again since."""
        ...

    async def retire(self, staying: Collection[Path] = ()) -> None:
        """Put the station out of service on record; nodes of ours that stay on it are ours no more."""
        ...

    async def ask(self, question: QuestionPlan) -> Question:
        """Ask people a question, or read the answer; after its time the default is the answer."""
        ...

    async def post(self, content: Mapping[str, Any], via: str = WEBHOOK) -> None:
        """Send to the webhook, or to another channel. Raises MinkaError if it is not accepted."""
        ...


Perform = Callable[[Context, Any], Awaitable[Any]]
#: Says in a dry run what is wrong with the inputs that are known (a MinkaError), whatever the others will be.
Judge = Callable[[Context, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ServiceLoss:
    """Cells or core links that an action interrupts for a while, each with a tenant that has nodes there.

    Attributes:
        serving: Where the tenant gets service now, or may: it is interrupted.
        idle: Where it gets none anyhow.
        cells: All cells that it takes off the air, whoever is on them; None where that may be any of the station.
    """

    serving: frozenset[tuple[str, str]] = frozenset()
    idle: frozenset[tuple[str, str]] = frozenset()
    cells: frozenset[str] | None = None

    @classmethod
    def of(
        cls, pairs: Collection[tuple[str, str]], health: Health, cells: Collection[str] | None = None
    ) -> ServiceLoss:
        """The loss of cells and tenants of a station, by its current health."""
        serving = frozenset(pair for pair in pairs if health.serves(*pair))
        return cls(serving, frozenset(pairs) - serving, None if cells is None else frozenset(cells))

    @property
    def tenants(self) -> frozenset[str]:
        """Tenants that it takes service from, or might where they got any."""
        return frozenset(tenant for _, tenant in self.serving | self.idle)

    def __or__(self, other: ServiceLoss) -> ServiceLoss:
        """Both."""
        known = self.cells is not None and other.cells is not None
        cells = (self.cells or frozenset()) | (other.cells or frozenset()) if known else None
        return ServiceLoss(self.serving | other.serving, self.idle | other.idle, cells)


#: The service that an action takes, from its inputs and the current device; None if not known before it acts.
ServiceLossOf = Callable[[Context, Any], Awaitable[ServiceLoss | None]]

#: The pool that an action brings a function to, from its inputs and current place; empty if it stays.
PoolOf = Callable[[Context, Any], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Attributes:
        inputs: What it is given, as a model whose fields are described.
        outputs: What it has to say.
        description: Its docstring.
        consent: Class of action that tenants consent to, for one that changes a station; None where it
            interrupts nobody, or the run's plan says what it does to whom.
        waits: Whether it may have to wait without a worker.
        fails: Whether it says that something is not as it has to be, which it does not change.
        devices: What it is for, since on others it can but fail; none for any device.
        takes: What it takes service from; None where that is never known before it acts.
        takes_all: Whether it takes that from the whole device, whatever its inputs are.
        brings: The pool that it brings a function to; None where it brings none anywhere.
        outage: How long it takes service away where it takes any, as far as that is known before its change is.
        unlocks: Whether it unlocks the cells of its input ``cells``, and so ends an outage until they are unlocked.
        restarts: Whether it may restart the device or a unit of it (``OperationKind.restarts``). One that does so and
            does not say it is found out when it is about to act.
        judges: What it says of inputs that are known while others are not.
    """

    name: str
    inputs: type[Noun]
    outputs: type[Noun]
    access: DeviceAccess
    repeat: Repeat
    description: str
    perform: Perform
    consent: ActionClass | None = None
    waits: bool = False
    fails: bool = False
    devices: DeviceKind | None = None
    takes: ServiceLossOf | None = None
    takes_all: bool = False
    brings: PoolOf | None = None
    outage: Outage = NO_OUTAGE
    unlocks: bool = False
    restarts: bool = False
    judges: Judge | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """Inputs that are secrets: on record each is the name of a credential, and the action gets its value."""
        return _secrets_of(self.inputs)

    @property
    def bounds(self) -> Mapping[str, str]:
        """Outputs whose names are all among those of an input, by name, each with that input (``Within``)."""
        return _bounds_of(self.outputs)

    @property
    def choices(self) -> Mapping[str, str]:
        """Outputs that are one of the texts of an input, by name, each with that input (``OneOf``)."""
        return _choices_of(self.outputs)

    def check_bounds(self, given: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Check that an output names nothing but what it is bounded by: tenants were asked by that.

        Raises:
            InputError: It does.
        """
        for name, source in self.bounds.items():
            named = given.get(source)
            known = {named} if isinstance(named, str) else {*(named or ())}
            if named != ALL and (more := sorted({*output.get(name, ())} - known)):
                raise InputError(f"the action names {', '.join(more)} as {name}, which its input {source} does not")

    def recorded(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs as they are put on record, with names in the place of secrets.

        Raises:
            InputError: As ``check_inputs``.
        """
        named = {name: given[name] for name in self.secrets if given.get(name) is not None}
        return self.check_inputs(given).model_dump(mode="json") | named

    async def loss(self, context: Context, given: Noun | None) -> ServiceLoss | None:
        """The service that it takes; None where that is not known before it acts.

        Args:
            context: The device.
            given: Its inputs; None while they are not known.

        Raises:
            MinkaError: The device can't be read, or the inputs name nothing there.
        """
        if self.takes is None or self.consent is not ActionClass.INTERRUPT or (given is None and not self.takes_all):
            return None
        return await self.takes(context, given)

    def check_inputs(self, given: Mapping[str, Any]) -> Noun:
        """The inputs as a model.

        Raises:
            InputError: They are wrong; every problem, one a line.
        """
        try:
            return self.inputs.model_validate(given)
        except ValidationError as error:
            raise InputError("\n".join(self._problems(error))) from error

    def wrong_inputs(self, given: Mapping[str, Any]) -> list[str]:
        """Every problem of inputs, in words; empty if they are right."""
        try:
            self.inputs.model_validate(given)
        except ValidationError as error:
            return self._problems(error)
        return []

    def _problems(self, error: ValidationError) -> list[str]:
        return [self._wrong(one) for one in error.errors()]

    async def judge(self, context: Context, given: Mapping[str, Any], unknown: Collection[str]) -> None:
        """Judge inputs of a step of which others are not known yet.

        Args:
            context: The device, as in a dry run.
            given: The inputs that are known. Secrets are not looked at.
            unknown: Names of those that are not.

        Raises:
            MinkaError: The step would fail whatever the others will be; of wrong inputs every problem, one a line.
        """
        errors = {name: self.check_input(name, value) for name, value in given.items() if name not in self.secrets}
        if any(errors.values()):
            raise InputError("\n".join(f"{name}: {said}" for name, said in errors.items() if said))
        if self.judges is not None:
            fields = self.inputs.model_fields.items()
            usual = {name: field.get_default() for name, field in fields if not field.is_required()}
            await self.judges(context, {name: one for name, one in {**usual, **given}.items() if name not in unknown})

    def _wrong(self, one: ErrorDetails) -> str:
        """One problem in words, with what would be right."""
        parts = [part for part in one["loc"] if part not in (ALL, _NAMES)]
        message, expected = self._explained(one, str(parts[0]) if parts else "")
        place = ".".join(map(str, parts))
        item = f" = {show(one['input'])!r}" if len(parts) > 1 else ""
        return f"{place}{item}{': ' * bool(place)}{message}{'; ' * bool(expected)}{expected}"

    def _explained(self, one: ErrorDetails, name: str) -> tuple[str, str]:
        """What is wrong, and what would be right: of a form of the action's own, what the input is for."""
        field = self.inputs.model_fields.get(name)
        message, expected = explain(one, FORMS)
        if one["type"] == "string_pattern_mismatch" and one["ctx"]["pattern"] not in FORMS and field is not None:
            return message, field.description or expected
        return message, expected

    def input_errors(self, name: str, value: Any) -> list[tuple[FieldPath, str, str]]:
        """Errors of one constant input: where in it, what is wrong, and what would be right."""
        field = self.inputs.model_fields[name]
        try:
            TypeAdapter(field.rebuild_annotation()).validate_python(value)
        except ValidationError as error:
            return [(_inside(value, one["loc"]), *self._explained(one, name)) for one in error.errors()]
        return []

    def check_input(self, name: str, value: Any) -> str:
        """The errors of one constant input, in words; empty if there are none."""
        found = self.input_errors(name, value)
        return "; ".join(f"{message}; {expected}" if expected else message for _, message, expected in found)


def _inside(value: Any, place: FieldPath) -> FieldPath:
    """The part of an error's place that leads into a value: pydantic names the form of a selection, too."""
    found: list[str | int] = []
    for part in place:
        here = value[part] if isinstance(value, list | tuple) and isinstance(part, int) else None
        if isinstance(value, dict) and part in value:
            here = value[part]
        elif not isinstance(part, int):
            continue
        value = here
        found.append(part)
    return tuple(found)


def action(
    name: str,
    access: DeviceAccess,
    repeat: Repeat | None = None,
    consent: ActionClass | None = ActionClass.INTERRUPT,
    devices: DeviceKind | None = None,
    takes: ServiceLossOf | None = None,
    takes_all: bool = False,
    brings: PoolOf | None = None,
    outage: Outage = UNKNOWN_OUTAGE,
    *,
    unlocks: bool = False,
    restarts: bool = False,
    judges: Judge | None = None,
) -> Callable[[Perform], Action]:
    """Make an action of an async function ``(context, inputs) -> outputs``.

    An input of type ``SecretStr`` is a secret of the server: steps give it by a parameter with ``secret: true``, which
    holds the name of a credential. Only the function itself gets the value, right before it acts on a device that may
    get it; ``takes`` and ``brings`` see the name. It must not log it.

    Its annotations say what goes in and what comes out, its docstring describes it. One that changes the
    station returns a ``Proposal``; one that only reads may return ``UnmetCondition``, or ``Postponement`` to be
    asked again.

    Args:
        name: What steps call it.
        access: What it does with the station.
        repeat: What happens to a step that a dead worker had begun.
        consent: Class of action that the station's tenants consent to, unless it only reads; None where the run's plan
            says what it does to whom.
        devices: What it is for, none for any device; a run that would do it on others is refused.
        takes: What it takes service from: only who gets some there is asked then.
        takes_all: Whether it takes that from the whole device, whatever its inputs are.
        brings: The pool that it brings a function to, which can then be made ready for it.
        outage: How long it takes service away, if its class of action is ``interrupt`` or ``reduce``.
        unlocks: Whether it unlocks the cells of its input ``cells``.
        restarts: Whether it may restart the device or a unit of it: no rule lets it do so on battery, and nobody does
            under a public warning.
        judges: Called in a dry run instead of the function, where some inputs are not known yet: it gets those that
            are, or have a default, and raises a MinkaError if the step would fail whatever the others will be.
    """
    asks = None if access in (DeviceAccess.NONE, DeviceAccess.READS) else consent

    def made(perform: Perform) -> Action:
        hints = get_type_hints(perform)
        inputs, returned = list(hints.values())[1], hints["return"]
        if wrong := _unfit_secrets(inputs):
            raise TypeError(f"{name}: {wrong}")
        proposes = get_origin(returned) is Proposal
        if proposes is not (access is DeviceAccess.CHANGES):
            raise TypeError(f"{name}: an action that changes returns a Proposal, and no other does")
        kinds = get_args(returned) or (returned,)
        outputs = next(kind for kind in kinds if kind not in (UnmetCondition, Postponement))
        if unknown := {*_bounds_of(outputs).values(), *_choices_of(outputs).values()} - inputs.model_fields.keys():
            raise TypeError(f"{name}: outputs are within {', '.join(sorted(unknown))}, and there is no such input")
        usual = Repeat.READ_BACK if proposes else Repeat.SAFE
        described = inspect.getdoc(perform) or ""
        again, waits = repeat or usual, Postponement in kinds
        return Action(
            name=name,
            inputs=inputs,
            outputs=outputs,
            access=access,
            repeat=again,
            description=described,
            perform=perform,
            consent=asks,
            waits=waits,
            fails=UnmetCondition in kinds,
            devices=devices,
            takes=takes,
            takes_all=takes_all,
            brings=brings,
            outage=outage if asks in (ActionClass.INTERRUPT, ActionClass.REDUCE) else NO_OUTAGE,
            unlocks=unlocks,
            restarts=restarts,
            judges=judges,
        )

    return made


@lru_cache(maxsize=512)
def _secrets_of(inputs: type[Noun]) -> frozenset[str]:
    return frozenset(name for name, field in inputs.model_fields.items() if field.annotation in _SECRET)


@lru_cache(maxsize=512)
def _bounds_of(outputs: type[Noun]) -> Mapping[str, str]:
    return _marked(outputs, Within)


@lru_cache(maxsize=512)
def _choices_of(outputs: type[Noun]) -> Mapping[str, str]:
    return _marked(outputs, OneOf)


def _marked(outputs: type[Noun], mark: type[Within | OneOf]) -> Mapping[str, str]:
    marks = ((name, one) for name, field in outputs.model_fields.items() for one in field.metadata)
    return {name: one.input for name, one in marks if isinstance(one, mark)}


def _unfit_secrets(inputs: type[Noun]) -> str:
    """Why an action can't be given secrets in this way; empty if it can, or takes none."""
    found = _secrets_of(inputs)
    for name in sorted(found):
        field = inputs.model_fields[name]
        if field.metadata or not (field.is_required() or field.default is None):
            return f"the secret {name} has neither constraints nor a default: on record it is a name"
    # Pydantic marks each secret of a schema, however deep, as one that can only be written.
    marks = repr(inputs.model_json_schema()).count("'writeOnly': True")
    return "" if marks == len(found) else "a secret is an input of its own, of type SecretStr, and not part of another"


class Registry:
    """Actions by name."""

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self.actions = dict(sorted(actions.items()))

    def action(self, name: str) -> Action:
        """An action by name.

        Raises:
            InputError: There is none.
        """
        if name not in self.actions:
            raise InputError(f"there is no action {name!r}")
        return self.actions[name]


def with_third_parties(shipped: Mapping[str, Action]) -> Registry:
    """The shipped actions and those of installed packages.

    Raises:
        InputError: A package can't be imported, or offers something else or a name that is taken.
    """
    found = dict(shipped)
    for entry in entry_points(group=GROUP):
        try:
            offered = entry.load()
        except Exception as error:
            raise InputError(f"{entry.value} ({GROUP}) can't be loaded: {error}") from error
        if not isinstance(offered, Action):
            raise InputError(f"{entry.value} ({GROUP}) is not an action")
        if offered.name in found:
            raise InputError(f"{entry.value} ({GROUP}): there is an action {offered.name} already")
        found[offered.name] = offered
    return Registry(found)
