"""Rules: which alarms each answers, with which ladder and guards. One YAML file each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from controller.assurance.health import OWN_CAUSES
from controller.inventory.definitions import read_folder
from controller.inventory.parse import FORMS
from controller.inventory.source import Entry, FieldPath, Report, suggest
from controller.inventory.yaml_tree import read_yaml
from controller.models.alarm import (
    BACKHAUL_DOWN,
    CORE_NODE_DOWN,
    DIVERGED,
    FAULT,
    HEARTBEAT_LOST,
    KPI_DEGRADED,
    REMOTE_END_DOWN,
    SLEEPING_CELL,
    SUPPLY_CAUSES,
    Alarm,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.definitions import DefinitionKind, Definitions
from controller.models.enums import RuleMode
from controller.models.errors import InputError, NotFoundError
from controller.models.network import Identifier, Network, Noun
from controller.models.rule import concerns_only
from controller.playbook.in_force import library_of
from controller.playbook.language.expressions import Expression, evaluate
from controller.playbook.language.library import Library, report_form
from controller.playbook.language.parameters import Parameter, ParameterType, parameter_hint
from controller.playbook.language.playbook import ReachLimits
from controller.store import Store

#: Variable of expressions in a playbook's parameters, its members, and how they name the router of the alarm's site.
_ALARM = "alarm"
_MEMBERS = (*FAULT, "cell", "router", "function", "objects")
_ROUTER = (_ALARM, "router")
#: Causes that Minka itself finds, and those in stations' lists.
_CAUSES = (
    OWN_CAUSES
    | SUPPLY_CAUSES
    | {
        BACKHAUL_DOWN,
        CORE_NODE_DOWN,
        DIVERGED,
        HEARTBEAT_LOST,
        KPI_DEGRADED,
        REMOTE_END_DOWN,
        SLEEPING_CELL,
    }
)
_OF_STATIONS = re.compile(r"o-ran-fault-\d+|3gpp-.+")
#: Similarity from which an unknown cause counts as a misspelling of one of these.
_NEARLY = 0.85


class Match(Noun):
    """Which alarms a rule answers; an empty list matches all.

    Attributes:
        causes: Probable causes.
        objects: Classes of the object that failed.
        severities: How bad the alarm is.
        follows: Whether it answers alarms that follow from a root, such as a site below a node of the backhaul that
            failed, which its own standby saves; else it waits until the root is over.
        tenants: It answers alarms that concern these tenants, and no other.
        regions: Regions of the device.
        profiles: Profiles of the device, of which it has one; of a router its platform.
    """

    causes: tuple[Identifier, ...] = Field(min_length=1)
    objects: tuple[ObjectClass, ...] = ()
    severities: tuple[PerceivedSeverity, ...] = ()
    follows: bool = False
    tenants: tuple[Identifier, ...] = ()
    regions: tuple[Identifier, ...] = ()
    profiles: tuple[str, ...] = ()

    def fits(self, alarm: Alarm, network: Network) -> bool:
        """Whether an alarm matches, whether or not it follows from another."""
        known = network.manages(alarm.station)
        return (
            alarm.probable_cause in self.causes
            and (not self.objects or alarm.object_class in self.objects)
            and (not self.severities or alarm.severity in self.severities)
            and (not self.tenants or concerns_only(alarm, self.tenants))
            and (not self.regions or (known and network.region_of(alarm.station) in self.regions))
            and (not self.profiles or (known and not set(self.profiles).isdisjoint(network.profiles_of(alarm.station))))
        )

    def overlap(self, other: Match) -> set[str]:
        """Causes for which both answer some alarm."""
        lists = ("objects", "severities", "tenants", "regions", "profiles")
        apart = any(
            (ours := set(getattr(self, name)))
            and (theirs := set(getattr(other, name)))
            and ours.isdisjoint(theirs)
            # A station may have several profiles.
            and name != "profiles"
            for name in lists
        )
        return set() if apart or self.follows is not other.follows else set(self.causes) & set(other.causes)


class Rung(Noun):
    """One rung of a ladder, with exactly one of these kinds.

    Attributes:
        playbook: A playbook to run. What Minka's own checks raise must be wrong on the station still; that the station
            itself raised any other alarm is reason enough.
        parameters: Its parameters; expressions over ``alarm``, with its ``station``, ``object``, ``tenant``,
            ``probable_cause`` and ``specific_problem``, the first ``cell`` that suffers by its name on the station, the
            ``router`` of its site, and the ``function`` that a virtual station lives in; these are empty where there is
            none. A playbook that is given the ``objects`` of all alarms of the same fault (a tenant's core links at a
            station), joined by blanks, works for all of them.
        ask: A person is asked this, whatever the mode; only a yes leads to the next rung.
        ticket: People get a ticket with these words, the fault and what is needed: somebody has to go there. What was
            tried, and how it ended, follows them by the record.
        page: People are called with these words.
    """

    playbook: Identifier | None = None
    parameters: dict[str, str] = {}
    ask: str = Field(default="", max_length=500)
    ticket: str = Field(default="", max_length=500)
    page: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.playbook, self.ask, self.ticket, self.page))) != 1:
            raise ValueError("a rung is exactly one of playbook, ask, ticket and page")
        if self.parameters and not self.playbook:
            raise ValueError("only a playbook has parameters")
        return self

    @property
    def people(self) -> bool:
        """Whether it hands the alarm over to people."""
        return bool(self.ticket or self.page)

    def given(self, alarm: Alarm, network: Network, same_fault: Sequence[Alarm] = ()) -> dict[str, Any]:
        """Parameters of the playbook for an alarm, and for others of the same fault.

        Raises:
            InputError: An expression can't be evaluated.
        """
        site = network.site_of(alarm.station) if network.manages(alarm.station) else ""
        values = (
            *(getattr(alarm, name) for name in FAULT),
            next((cell.partition("/")[2] for cell in alarm.cells), ""),
            next(iter(network.routers_at.get(site, ())), ""),
            network.endpoint_function.get(alarm.station, ""),
            " ".join(one.object for one in (alarm, *same_fault)),
        )
        found: dict[str, Any] = evaluate(self.parameters, {_ALARM: dict(zip(_MEMBERS, values, strict=True))})
        return found

    def check(self, alarm: Alarm, given: Mapping[str, Any]) -> None:
        """Check that what the playbook's parameters need exists.

        Raises:
            InputError: It needs the router of the alarm's site, and none is managed there.
        """
        if any(given[name] == "" and _ROUTER in Expression(text).members for name, text in self.parameters.items()):
            raise InputError(f"the network files have no router with a host_key at the site of {alarm.station}")


class RuleGuards(ReachLimits):
    """Limits on when a rule may act.

    Where it names no rate and no share, those of the settings bind it (``MINKA_REPAIRS_PER_DEVICE`` …).

    Attributes:
        max_stations: Stations and routers that its run may work on; further limits are those of playbooks.
        settle_seconds: An alarm must have stood this long: most clear by themselves.
        cool_down_seconds: Window in which repairs of one object are counted.
        attempts: Alarms of one object that are repaired within the window; one more is escalated instead.
        per_device: Repairs of a device by any rule within an hour, from which on this rule waits.
        per_site: The same of all devices of a site.
        per_region: The same in a region.
        per_tenant: The same of what concerns one tenant.
        share: Per cent of a region's stations that may be under repair at once, one in any case.
        interrupts: Whether its runs may interrupt who is served, with consent; else they only work where nobody is.
    """

    max_stations: int | None = Field(default=1, ge=1)

    settle_seconds: float = Field(default=5, ge=0)
    cool_down_seconds: float = Field(default=3600, gt=0)
    attempts: int = Field(default=1, ge=1)
    per_device: int | None = Field(default=None, ge=1)
    per_site: int | None = Field(default=None, ge=1)
    per_region: int | None = Field(default=None, ge=1)
    per_tenant: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=100)
    interrupts: bool = True


class Verify(Noun):
    """When a repair counts as a success.

    Attributes:
        within_seconds: How long after the run the alarm must be cleared, its object be healthy and nobody be worse off.
        settle_seconds: How long that must last.
        holds_seconds: For how long the fault must not come again after that, or the repair counts as one that did not
            help when the rule is judged.
    """

    within_seconds: float = Field(default=300, gt=0)
    settle_seconds: float = Field(default=60, ge=0)
    holds_seconds: float = Field(default=1800, ge=0)


class Trust(Noun):
    """When a promoted rule demotes itself.

    Attributes:
        threshold: The share of alarms that its ladder cures, at least and with 95 % confidence, must not fall below it.
        sample: Alarms before that is judged.
        failures: Alarms in a row that its ladder did not cure, which demote it at once.
    """

    threshold: float = Field(default=0.3, gt=0, lt=1)
    sample: int = Field(default=10, ge=1)
    failures: int = Field(default=3, ge=1)


def _of_file(given: Any) -> Any:
    if given == RuleMode.AUTO:
        raise ValueError(
            "a file lets a rule observe or ask; a person lets it act: minka rules promote NAME --mode auto"
        )
    return given


class Rule(Noun):
    """One rule.

    Attributes:
        match: Which alarms it answers.
        priority: Of several rules that match an alarm, the one with the highest answers.
        mode: The mode in which it begins: it observes, or asks. To act by itself it has to be promoted.
        ladder: What it does, from the mildest to the last; after the last, people are asked.
    """

    name: Identifier
    description: str
    match: Match
    priority: int = 0
    mode: Annotated[Literal["observe", "ask"], BeforeValidator(_of_file)] = "observe"
    guards: RuleGuards = RuleGuards()
    ladder: tuple[Rung, ...] = Field(min_length=1)
    verify: Verify = Verify()
    trust: Trust = Trust()
    #: Files of its playbooks, where a library is at hand; no file of a rule can set it.
    _playbooks: bytes = PrivateAttr(default=b"")

    @model_validator(mode="after")
    def _ends_with_people(self) -> Self:
        if any(rung.people for rung in self.ladder[:-1]):
            raise ValueError("a ticket or page is the last rung: automation does nothing after it")
        if self.ladder[-1].ask:
            raise ValueError("ask can't be the last rung: put a playbook after it")
        return self

    @property
    def answers_faults(self) -> bool:
        """Whether its playbooks work for all alarms of a fault at once, and not for each one."""
        return any("alarm.objects" in given for rung in self.ladder for given in rung.parameters.values())

    @property
    def playbooks(self) -> tuple[str, ...]:
        """Playbooks that it may run."""
        return tuple(dict.fromkeys(rung.playbook for rung in self.ladder if rung.playbook))

    @property
    def digest(self) -> str:
        """Digest of the rule and its playbooks: a promotion, a question and a yes hold for these only."""
        found = hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode())
        found.update(self._playbooks)
        return found.hexdigest()

    def with_playbooks(self, library: Library) -> Self:
        """The same rule, with a digest that covers the files of its playbooks."""
        texts = (library.text(name) for name in self.playbooks)
        made = self.model_copy()
        made._playbooks = b"".join(hashlib.sha256(f"{text}".encode()).digest() for text in texts)
        return made


@dataclass(frozen=True, slots=True)
class Names:
    """Names that rules may use, apart from those of Minka itself.

    Attributes:
        network: What is there; with None only causes are looked at.
        alert_causes: Probable causes that alerts have (``MINKA_ALERT_CAUSES``).
    """

    network: Network | None = None
    alert_causes: Collection[str] = ()

    def check(
        self,
        match: Match | None,
        rungs: Iterable[tuple[int, Rung]],
        entry: Entry,
        library: Library | None,
        report: Report,
    ) -> None:
        """Report unknown names in what can be read of a rule."""
        network = self.network
        if match is not None:
            _check_causes(match, entry, self.alert_causes, report)
        if match is not None and network is not None:
            _check_match(match, entry, network, report)
        if library is not None and network is not None:
            for number, rung in rungs:
                _check_given(rung, entry, ("ladder", number), library, network, report)


def read_rules(
    folder: Path, library: Library | None = None, names: Names | None = None
) -> tuple[tuple[Rule, Entry], ...]:
    """All rules of a folder, by name, each with its entry.

    Args:
        folder: Where the files are.
        library: The playbooks that they run; with None it is not asked whether these are there and take what they get.
        names: Names that they may use; with None any.

    Raises:
        InputError: Every problem of every file, one a line; or the folder is missing.
    """
    if not folder.is_dir():
        raise InputError(f"the rules folder {folder} does not exist: set MINKA_RULES")
    files = read_folder(folder)
    report = Report()
    for path, why in files.unread.items():
        report.file(path, *why)
    found = parse_rules(files.texts, report, library, names)
    if report.problems:
        raise InputError("\n".join(str(problem) for problem in report.problems))
    return found


def parse_rules(
    files: Mapping[str, str], report: Report, library: Library | None = None, names: Names | None = None
) -> tuple[tuple[Rule, Entry], ...]:
    """The valid rules of files, by name, each with its entry; problems of all others are reported.

    Of two rules with the same name, or that answer the same alarms with the same priority, the first is valid.

    Args:
        files: Content by path.
        report: Collects problems.
        library: As for ``read_rules``.
        names: As for ``read_rules``.
    """
    rules: dict[str, Rule] = {}
    entries: dict[str, Entry] = {}
    for path, text in sorted(files.items()):
        before = len(report.problems)
        entry, rule = _parse(path, text, report)
        if entry is None:
            continue
        if rule is not None:
            _check_against(rule, entry, rules, report)
        rungs = tuple(_sound_rungs(entry.data) if rule is None else enumerate(rule.ladder))
        for number, rung in rungs:
            _check_rung(rung, entry, ("ladder", number), library, report)
        if names is not None:
            further = Report()
            names.check(_sound_match(entry.data) if rule is None else rule.match, rungs, entry, library, further)
            report.problems += [one for one in further.problems if one not in report.problems]
        if rule is not None and len(report.problems) == before:
            rules[rule.name], entries[rule.name] = rule if library is None else rule.with_playbooks(library), entry
    return tuple((rules[name], entries[name]) for name in sorted(rules))


@lru_cache(maxsize=2)
def _rules_of(definitions: Definitions) -> tuple[tuple[Rule, Entry], ...]:
    library = library_of(definitions)
    found = parse_rules(definitions.files.of(DefinitionKind.RULE), Report())
    return tuple((rule.with_playbooks(library), entry) for rule, entry in found)


def entries_in_force(store: Store) -> tuple[tuple[Rule, Entry], ...]:
    """The rules that are in force, by name, each with its entry. Raises NotFoundError before any were put in force."""
    return _rules_of(store.definitions.get())


def rules_in_force(store: Store, at: datetime | None = None) -> tuple[Rule, ...]:
    """The rules in force, now or at a time, by name. Raises NotFoundError before any were put in force."""
    return tuple(rule for rule, _ in _rules_of(store.definitions.get(at)))


def _check_against(rule: Rule, entry: Entry, others: Mapping[str, Rule], report: Report) -> None:
    """Report other rules with the same name, or that answer the same alarms."""
    if rule.name in others:
        report.entry(entry, ("name",), f"another rule is called {rule.name!r}", expected="a name of its own")
    for other in others.values():
        if shared := rule.match.overlap(other.match) if rule.priority == other.priority else set():
            message = f"rule {other.name} answers {min(shared)!r} already, for some of the same alarms"
            report.entry(entry, ("match",), message, expected="narrow one of the two, or give one a higher priority")


def _parse(path: str, text: str, report: Report) -> tuple[Entry | None, Rule | None]:
    """A text's content and its rule, with misspelt fields as they are meant; None where there is none to be made."""
    before = len(report.problems)
    node = read_yaml(text, path, report, whole=False)
    if node is None:
        if len(report.problems) == before:
            report.file(path, 0, "the file is empty", "delete it, or write a rule")
        return None, None
    entry = Entry("rule", path, node.line, "rule", node.plain(), node)
    try:
        return entry, Rule.model_validate(entry.data)
    except ValidationError as error:
        found = report_form(Rule, entry, error, report, FORMS)
    return found.entry, found.meant


def _sound_match(data: Any) -> Match | None:
    """Which alarms a rule with errors answers, by the fields that can be read; None if it says nothing of that."""
    given = data.get("match") if isinstance(data, dict) else None
    sound: dict[str, Any] = {"causes": ()}
    for name, value in given.items() if isinstance(given, dict) else ():
        with suppress(ValidationError):
            sound[name] = getattr(Match.model_validate({"causes": ["a"], name: value}), name)
    return Match.model_construct(**sound) if isinstance(given, dict) else None


def _sound_rungs(data: Any) -> Iterator[tuple[int, Rung]]:
    """The rungs of a rule with errors elsewhere, with their numbers."""
    ladder = data.get("ladder") if isinstance(data, dict) else None
    for number, one in enumerate(ladder if isinstance(ladder, list) else ()):
        try:
            yield number, Rung.model_validate(one)
        except ValidationError:
            continue


def _check_rung(rung: Rung, entry: Entry, path: FieldPath, library: Library | None, report: Report) -> None:
    """Report errors in what a rung gives its playbook, as far as the files alone show them."""
    for name, text in rung.parameters.items():
        _check_expression(text, entry, (*path, "parameters", name), report)
    if library is None or rung.playbook is None:
        return
    try:
        takes = library.load(rung.playbook).playbook.parameters
    except (InputError, NotFoundError) as error:
        report.entry(entry, (*path, "playbook"), "; ".join(error.message.splitlines()))
        return
    for name, text in rung.parameters.items():
        at = (*path, "parameters", name)
        if name not in takes:
            report.entry(entry, at, f"{rung.playbook} has no such parameter", expected=parameter_hint(name, takes))
        elif takes[name].secret:
            report.entry(entry, at, "is a secret, which no rule gives: a person asks for such a run")
        elif wrong := _refused(takes[name], text):
            report.entry(entry, at, wrong, value=text)
        else:
            _check_meaning(takes[name], entry, at, report)
    for name in (one for one, takes_it in takes.items() if takes_it.required and one not in rung.parameters):
        report.entry(entry, (*path, "playbook"), f"{rung.playbook} needs the parameter {name!r}")


def _check_meaning(parameter: Parameter, entry: Entry, at: FieldPath, report: Report) -> None:
    """Report YAML's truth values and nothing where no truth value is wanted: ``true`` would be the name of a cell."""
    for place, odd in entry.odd_in(at) if parameter.type is not ParameterType.BOOL else ():
        expected = f"{parameter.description.rstrip('.')}; a text that is written so stands in quotes"
        report.entry(entry, place, f"is {odd}", expected=expected)


def _refused(parameter: Parameter, text: str) -> str:
    """Why a parameter does not accept a text; empty if it does, or if the alarm decides."""
    try:
        if "{" not in text:
            parameter.parse(text)
    except InputError as error:
        return error.message
    return ""


def _check_expression(text: str, entry: Entry, path: FieldPath, report: Report) -> None:
    try:
        expression = Expression(text)
    except InputError as error:
        report.entry(entry, path, error.message, value=text)
        return
    for name in sorted(expression.names - {_ALARM}):
        report.entry(entry, path, f"unknown name {name!r}", value=text, expected="as in {{ alarm.station }}")
    for name in sorted(member for of, member in expression.members if of == _ALARM and member not in _MEMBERS):
        known = report.did_you_mean(name, _MEMBERS) or f"members are {', '.join(_MEMBERS)}"
        report.entry(entry, path, f"{_ALARM} has no member {name!r}", value=text, expected=known)


# ------------------------------------------------------------------ what they name


def strange_names(
    rules: Iterable[tuple[Rule, Entry]],
    library: Library,
    network: Network | None = None,
    alert_causes: Collection[str] = (),
) -> dict[str, list[str]]:
    """Unknown names in rules, by rule, with file and line; such rules answer less than they say, or nothing.

    Args:
        rules: Rules as they were read.
        library: The playbooks that they run.
        network: What is there; with None only causes are looked at.
        alert_causes: Probable causes that alerts have (``MINKA_ALERT_CAUSES``).
    """
    found, names = {}, Names(network, alert_causes)
    for rule, entry in rules:
        report = Report()
        names.check(rule.match, enumerate(rule.ladder), entry, library, report)
        if report.problems:
            found[rule.name] = [str(problem) for problem in report.problems]
    return found


def _check_causes(match: Match, entry: Entry, alert_causes: Collection[str], report: Report) -> None:
    """Report causes that only an alert might have, and that are similar to a known one."""
    for number, cause in enumerate(match.causes):
        if cause in _CAUSES or cause in alert_causes or _OF_STATIONS.fullmatch(cause):
            continue
        family = f"o-ran-fault-{cause.rpartition('-')[2]}", f"3gpp-{cause.partition('-')[2]}"
        known = {*_CAUSES, *alert_causes, *filter(_OF_STATIONS.fullmatch, family)}
        if near := suggest(cause, known, _NEARLY):
            expected = f"{near} MINKA_ALERT_CAUSES names those of alerts"
            report.entry(entry, ("match", "causes", number), "no source has this cause", value=cause, expected=expected)


def _check_match(match: Match, entry: Entry, network: Network, report: Report) -> None:
    profiles = {profile for device in network.device_kinds for profile in network.profiles_of(device)}
    known: tuple[tuple[str, str, Collection[str]], ...] = (
        ("tenants", "no such tenant", network.tenant_by_id),
        ("regions", "no such region", network.region_by_id),
        ("profiles", "no device has this profile", profiles),
    )
    for name, message, there in known:
        for number, value in enumerate(getattr(match, name)):
            if value not in there:
                expected = report.did_you_mean(value, there)
                report.entry(entry, ("match", name, number), message, value=value, expected=expected)


def _check_given(rung: Rung, entry: Entry, path: FieldPath, library: Library, network: Network, report: Report) -> None:
    """Report that a rung's playbook is none, and unknown objects that it is given for every alarm."""
    if rung.playbook is None:
        return
    try:
        takes = library.load(rung.playbook).playbook.parameters
    except (InputError, NotFoundError) as error:
        report.entry(entry, (*path, "playbook"), "; ".join(error.message.splitlines()))
        return
    for name, text in ((name, text) for name, text in rung.parameters.items() if "{" not in text):
        try:
            if name in takes:
                takes[name].look_up(text, network)
        except InputError as error:
            report.entry(entry, (*path, "parameters", name), error.message, value=text)


def rule_for(rules: Sequence[Rule], alarm: Alarm, network: Network) -> Rule | None:
    """The rule that answers an alarm; for an alarm with a root, rules that answer such alarms go first."""
    fitting = [rule for rule in rules if rule.match.fits(alarm, network) and (alarm.root or not rule.match.follows)]
    return max(fitting, key=lambda rule: (rule.match.follows, rule.priority), default=None)
