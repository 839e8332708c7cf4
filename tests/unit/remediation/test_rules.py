from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.inventory.load import load_network
from controller.inventory.selectors import select
from controller.models.alarm import (
    ALL_LINKS_DOWN,
    CELL_OFF_AIR,
    CORE_LINK_DOWN,
    MAINS_LOST,
    RADIO_UNIT_LOST,
    SLEEPING_CELL,
    Alarm,
    AlarmSource,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.cloud import Function
from controller.models.errors import InputError
from controller.models.network import Network
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.plan_section import AGAIN
from controller.playbook.language.expressions import evaluate
from controller.playbook.language.library import Library
from controller.playbook.language.parameters import parse_parameters
from controller.remediation.rules import Match, Names, Rule, Rung, read_rules, rule_for, strange_names
from controller.remediation.schema import COMMITTED, render_schema
from simulators.equipment.fault_kinds import NETWORK_FAULTS, NetworkFaultKind, Remedy
from tests.support.definitions import load_rules
from tests.support.records import START
from tests.unit.plan import samples

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
SHIPPED = Path(__file__).parents[3] / "playbooks" / "rules"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC2cbdLo6XoWJLlGNBaIB6yDmYGs8RZ9jRyWd2hWGYUF"
GOOD = "name: one\ndescription: d\nmatch: {causes: [core-link-down]}\nladder:\n  - playbook: recreate-core-endpoint\n"


def test_tickets_of_shipped_rules_state_the_fault_and_leave_what_was_tried_to_the_record() -> None:
    tried = ("help", "neither", "could not", "no other", "cured", "tried", "restart of")
    found = [(rule.name, rung.ticket) for rule in load_rules(SHIPPED) for rung in rule.ladder if rung.ticket]
    assert len(found) > 10
    assert [name for name, text in found if any(word in text for word in tried)] == []


#: What each shipped rule does, from the first rung to the last; the others only give a ticket.
LADDERS = {
    "alarm-list-crowded": ["acknowledge-alarm"],
    "cell-off-air": ["cycle-cell", "reset-radio-unit", "restart-station", "ticket"],
    "configuration-drift": ["repair-drift"],
    "configuration-lost": ["heal-function", "ticket"],
    "core-link-down": ["recreate-core-endpoint"],
    "fronthaul-failed": ["reset-radio-unit", "ticket"],
    "function-below-a-fault": ["heal-function"],
    "function-down": ["heal-function", "ticket"],
    "function-twice": ["heal-function", "ticket"],
    "function-crash-looping": ["revert-function", "ticket"],
    "licence-gone": ["reload-licence", "ticket"],
    "lost-below-a-fault": ["heal-function"],
    "overheated": ["cycle-cell", "ticket"],
    "ptp-lost": ["drain-node", "ticket"],
    "radio-unit-lost": ["reset-radio-unit", "restart-station", "ticket"],
    "site-below-a-cut": ["switch-backhaul"],
    "site-cut-off": ["switch-backhaul", "ticket"],
    "sleeping-cell": ["cycle-cell", "reset-radio-unit", "restart-station", "ticket"],
    "synchronisation-lost": ["restart-station", "ticket"],
    "wrong-software": ["return-to-software", "ticket"],
}
OF_VIRTUAL_STATIONS = ("configuration-lost", "lost-below-a-fault")
TICKETS = {
    *("antenna-fault", "backhaul-down", "fan-broken", "function-degraded", "hardware-alarm", "kpi-degraded"),
    *("mains-lost", "node-lost", "pool-full", "port-down", "power-unit-failed", "interface-unit-failed"),
    "station-unreachable",
}
PAGES = {"core-node-down", "remote-end-down"}
#: They tell people from the first day on, and do nothing to any device.
TELLING = {*PAGES, "station-unreachable"}


def _kind(rung: Rung) -> str:
    return rung.playbook or next(kind for kind in ("ask", "ticket", "page") if getattr(rung, kind))


def test_the_shipped_rules_observe_but_for_those_that_call_and_have_these_ladders() -> None:
    rules = {rule.name: rule for rule in load_rules(SHIPPED, Library.in_folder(SHIPPED.parent, registry()))}
    assert {name: list(map(_kind, rule.ladder)) for name, rule in rules.items()} == {
        **LADDERS,
        **{name: ["ticket"] for name in TICKETS},
        **{name: ["page"] for name in PAGES},
    }
    assert {name for name, rule in rules.items() if rule.mode != "observe"} == TELLING
    assert {rule.mode for rule in rules.values()} == {"observe", "ask"}
    # A node that drifts again is refused by the playbook: several nodes of a station may be brought back one by one.
    attempts = {name: rule.guards.attempts for name, rule in rules.items() if rule.guards.attempts > 1}
    of_functions = ("function-down", "function-twice", "function-below-a-fault", *OF_VIRTUAL_STATIONS)
    twice = ("alarm-list-crowded", "licence-gone", *of_functions)
    assert attempts == {"configuration-drift": 5, **dict.fromkeys(twice, 2)}
    assert all(rule.guards.cool_down_seconds >= 600 for rule in rules.values())
    assert rules["configuration-drift"].guards.cool_down_seconds == AGAIN.total_seconds()


ELEMENT = "/ManagedElement[T-LTE-1]"


def _alarm(rule: Rule) -> Alarm:
    """One that a rule answers."""
    match = rule.match
    return Alarm(
        id="a-1",
        station="T-LTE-1",
        # Such an alarm is of a pool, and about a function there.
        object="T-LTE-1" if match.causes == ("function-crash-looping",) else f"{ELEMENT}/ENBFunction[1]/EP_S1C[one]",
        object_class=match.objects[0] if match.objects else ObjectClass.STATION,
        tenant="",
        probable_cause=match.causes[0],
        specific_problem="ru-1",
        severity=match.severities[0] if match.severities else PerceivedSeverity.MAJOR,
        text="",
        source=AlarmSource.CHECK,
        state=AlarmState.RAISED,
        raised=START,
        changed=START,
        cells=("T-LTE-1/1",),
        root="a-0" if match.follows else "",
    )


@pytest.mark.parametrize("name", sorted(LADDERS.keys() - OF_VIRTUAL_STATIONS))
def test_what_shipped_rules_give_their_playbooks_is_what_these_take(name: str) -> None:
    rules = load_rules(SHIPPED)
    (rule,) = (one for one in rules if one.name == name)
    plain = load_network(TINY)
    router = plain.routers[0].model_copy(update={"host_key": HOST_KEY})
    functions = (Function(id="T-LTE-1", package="du"),) if name.startswith("function-") else ()
    pools = tuple(one.model_copy(update={"id": "T-LTE-1"}) for one in samples.virtual().pools[:1] if name == "ptp-lost")
    network = plain.model_copy(update={"routers": (router,), "functions": functions, "pools": pools})
    alarm = _alarm(rule)
    assert rule_for(rules, alarm, network) == rule
    library = Library.in_folder(SHIPPED.parent, registry())
    for rung in rule.ladder:
        if rung.playbook:
            playbook = library.load(rung.playbook).playbook
            values = parse_parameters(playbook.parameters, rung.given(alarm, network), network)
            if playbook.on_node is not None:
                assert (values["pool"], values["node"]) == (alarm.station, alarm.object)
                continue
            of_router = rung.playbook == "switch-backhaul"
            assert select(network, str(evaluate(playbook.targets, values))) == (router.id if of_router else "T-LTE-1",)


@pytest.mark.parametrize("name", OF_VIRTUAL_STATIONS)
def test_a_station_that_lost_its_configuration_is_healed_by_its_function(name: str) -> None:
    network, rules = samples.virtual(), load_rules(SHIPPED)
    (rule,) = (one for one in rules if one.name == name)
    alarm = _alarm(rule).model_copy(update={"station": "S1", "object": "station"})
    assert rule_for(rules, alarm, network) == rule
    playbook = Library.in_folder(SHIPPED.parent, registry()).load("heal-function").playbook
    values = parse_parameters(playbook.parameters, rule.ladder[0].given(alarm, network), network)
    assert select(network, str(evaluate(playbook.targets, values))) == ("DU-1",)


def test_a_rule_for_what_follows_answers_before_others_and_what_follows_from_nothing_is_not_its_own() -> None:
    rules, network = load_rules(SHIPPED), load_network(TINY)
    below, alone = (next(one for one in rules if one.name == name) for name in ("site-below-a-cut", "site-cut-off"))
    assert rule_for(rules, _alarm(below), network) == below
    assert rule_for(rules, _alarm(alone), network) == alone


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"objects": ["radio-unit"]}, False),
        ({"severities": ["MAJOR", "CRITICAL"]}, True),
        ({"severities": ["MINOR"]}, False),
        ({"regions": ["cusco"]}, True),
        ({"regions": ["lima"]}, False),
        ({"tenants": ["andes", "condor"]}, True),
        ({"tenants": ["andes"]}, False),
        ({"profiles": ["none"]}, False),
        ({"profiles": ["none", "lte-28658"]}, True),
    ],
)
def test_all_that_a_match_names_has_to_fit(match: dict[str, Any], fits: bool) -> None:
    rule = load_rules(SHIPPED)[0]
    alarm = _alarm(rule).model_copy(update={"tenants": ("andes", "condor")})
    one = Match.model_validate({"causes": rule.match.causes, **match})
    assert one.fits(alarm, load_network(TINY)) is fits


def test_the_highest_priority_answers(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("one", "two") + "priority: 1\n")
    (tmp_path / "c.yaml").write_text(
        GOOD.replace("one", "three").replace("down]", "down], regions: [lima]") + "priority: 2\n"
    )
    rules = load_rules(tmp_path)
    found = rule_for(rules, _alarm(rules[0]), load_network(TINY))
    assert found is not None
    assert found.name == "two"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  - {ask: Now?}\n", "ask can't be the last rung"),
        ("  - {ticket: Go there}\n  - {playbook: restart-station}\n", "a ticket or page is the last rung"),
        ("  - {ticket: Go there, page: Wake up}\n", "exactly one of playbook, ask, ticket and page"),
        ("  - {ticket: Go there, parameters: {a: b}}\n", "only a playbook has parameters"),
    ],
)
def test_a_ladder_that_leads_nowhere_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.replace("  - playbook: recreate-core-endpoint\n", text))
    with pytest.raises(InputError, match=message):
        load_rules(tmp_path)


def test_a_rule_that_would_act_from_the_file_is_told_how_it_may(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "mode: auto\n")
    with pytest.raises(InputError, match=r"a\.yaml:6: rule\.mode"):
        load_rules(tmp_path)


def test_playbooks_and_parameters_that_do_not_exist_are_named_with_file_and_line(tmp_path: Path) -> None:
    heals = "  - playbook: heal-function\n    parameters: {where: function=DU-1, seconds: soon}\n"
    (tmp_path / "a.yaml").write_text(f"{GOOD}    parameters: {{stations: x}}\n  - playbook: reboot\n{heals}")
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path, Library.in_folder(SHIPPED.parent, registry()))
    strange = "a.yaml:6: rule.ladder[0].parameters.stations: recreate-core-endpoint has no such parameter"
    assert caught.value.message.splitlines() == [
        f"{strange}; did you mean 'station'?",
        "a.yaml:5: rule.ladder[0].playbook: recreate-core-endpoint needs the parameter 'station'",
        "a.yaml:5: rule.ladder[0].playbook: recreate-core-endpoint needs the parameter 'endpoint'",
        "a.yaml:7: rule.ladder[1].playbook: there is no playbook 'reboot'",
        "a.yaml:9: rule.ladder[2].parameters.seconds = 'soon': not a whole number",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [("null", "is nothing"), ("true", "is a truth value"), ("~", "is nothing"), ('"true"', ""), ("B28-1", "")],
)
def test_a_truth_value_or_nothing_is_no_text_of_a_parameter(tmp_path: Path, given: str, said: str) -> None:
    rung = f"  - playbook: lock-cell\n    parameters: {{station: '{{{{ alarm.station }}}}', cell: {given}}}\n"
    (tmp_path / "a.yaml").write_text(GOOD.split("ladder", maxsplit=1)[0] + "ladder:\n" + rung)
    library = Library.in_folder(SHIPPED.parent, registry())
    if not said:
        assert load_rules(tmp_path, library)
        return
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path, library)
    (problem,) = caught.value.message.splitlines()
    assert problem.startswith(f"a.yaml:6: rule.ladder[0].parameters.cell: {said}")


def _strange(folder: Path, network: Network | None, *causes: str) -> list[str]:
    library = Library.in_folder(SHIPPED.parent, registry())
    found = strange_names(read_rules(folder, library), library, network, causes)
    return [problem for problems in found.values() for problem in problems]


def test_what_a_rule_names_and_the_network_files_do_not_have_is_named_with_file_and_line(tmp_path: Path) -> None:
    match = "match: {causes: [core-link-down]}\n"
    narrow = (
        "match:\n  causes: [core-link-down]\n  tenants: [andes, condro]\n"
        "  regions:\n    - cusco\n    - cuzco\n  profiles: [lte-28658, nr-28542]\n"
    )
    drift = "name: two\ndescription: d\nmatch: {causes: [configuration-drift]}\nladder:\n  - playbook: repair-drift\n"
    other = "  - playbook: restart-station\n    parameters: {station: T-LTE-9}\n"
    link = "    parameters: {station: '{{ alarm.station }}', endpoint: x}\n"
    (tmp_path / "a.yaml").write_text(GOOD.replace(match, narrow) + link)
    (tmp_path / "b.yaml").write_text(f"{drift}    parameters: {{where: region=punoo}}\n{other}")
    where = "b.yaml:6: rule.ladder[0].parameters.where"
    assert _strange(tmp_path, load_network(TINY)) == [
        "a.yaml:5: rule.match.tenants[1] = 'condro': no such tenant; did you mean 'condor'?",
        "a.yaml:8: rule.match.regions[1] = 'cuzco': no such region; did you mean 'cusco'?",
        "a.yaml:9: rule.match.profiles[1] = 'nr-28542': no device has this profile; did you mean 'nr-28541'?",
        f"{where} = 'region=punoo': selector 'region=punoo': no such region: 'punoo'; did you mean 'puno'?",
        "b.yaml:8: rule.ladder[1].parameters.station = 'T-LTE-9': no such station; did you mean 'T-LTE-2'?",
    ]
    assert _strange(tmp_path, None) == []


@pytest.mark.parametrize(
    ("cause", "meant"),
    [
        ("core-link-donw", "core-link-down"),
        ("o-ran-falt-30", "o-ran-fault-30"),
        ("3gp-power-problem", "3gpp-power-problem"),
        ("rogue-fire", "rogue-fires"),
    ],
)
def test_a_cause_that_is_nearly_one_is_misspelt(tmp_path: Path, cause: str, meant: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.replace("[core-link-down]", f"[cell-off-air, {cause}]"))
    text = (tmp_path / "a.yaml").read_text().replace("recreate-core-endpoint", "restart-station")
    (tmp_path / "a.yaml").write_text(text + "    parameters: {station: '{{ alarm.station }}'}\n")
    told = f"a.yaml:3: rule.match.causes[1] = {cause!r}: no source has this cause; did you mean {meant!r}?"
    assert _strange(tmp_path, None, "rogue-fires") == [f"{told} MINKA_ALERT_CAUSES names those of alerts"]
    assert _strange(tmp_path, None, "rogue-fires", cause) == []


def test_an_alert_may_be_called_as_it_likes_and_shipped_rules_name_nothing_strange(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        GOOD.replace("core-link-down", "diesel-is-low").split("ladder")[0] + "ladder: [{ticket: x}]\n"
    )
    assert _strange(tmp_path, load_network(TINY)) == _strange(SHIPPED, load_network(TINY)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ alarm.staton }}", "alarm has no member 'staton'; did you mean 'station'?"),
        ("{{ alert.station }}", "unknown name 'alert'; as in {{ alarm.station }}"),
        ("{{ alarm.station", "not an expression: "),
        ("{% if alarm %}x{% endif %}", "statements and comments are not allowed"),
    ],
)
def test_a_parameter_that_no_alarm_can_fill_is_refused_with_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "a.yaml").write_text(f"{GOOD}    parameters:\n      station: '{text}'\n")
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path)
    assert caught.value.message.startswith(f"a.yaml:7: rule.ladder[0].parameters.station = {text!r}: {message}")


def test_the_committed_schema_is_that_of_rules() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == render_schema(), "run: python -m controller.remediation.schema"


def test_every_problem_of_every_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "guards: {attempts: 0}\nverify: {within_seconds: soon}\n")
    (tmp_path / "b.yaml").write_text("name: two\nrepair: reboot\n")
    (tmp_path / "c.yaml").write_text("- [\n")
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path)
    for words in (
        "a.yaml",
        "attempts",
        "within_seconds",
        "b.yaml",
        "description",
        "match",
        "ladder",
        "c.yaml",
    ):
        assert words in caught.value.message


def test_a_wrong_field_says_what_would_be_right(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        GOOD.replace("recreate-core-endpoint", "_") + "guards: {attemps: 1, attempts: x}\n"
    )
    form = "Lower-case letters, digits and inner hyphens, at most 64"
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path)
    assert caught.value.message.splitlines() == [
        "a.yaml:6: rule.guards.attempts = 'x': not a whole number",
        "a.yaml:6: rule.guards.attemps: no such field; did you mean 'attempts'?",
        f"a.yaml:5: rule.ladder[0].playbook = '_': not of the right form; {form}",
    ]


#: A rule with four misspelt fields; each of its other mistakes is of a kind of its own.
_MANY_MISTAKES = """\
name: two
descripton: Something.
match: {causes: [core-link-down], tenant: [alfa]}
ladder:
  - playbook: recreate-core-endpoint
    parameter: {station: "{{ alarm.sttion }}", link: "{{ alarm.object }}"}
  - playbok: reset-station
  - {ticket: "go there", after: never}
gards: {attempts: 0}
"""


def test_a_misspelt_field_hides_no_other_mistake_in_its_file(tmp_path: Path) -> None:
    first = "a.yaml:6: rule.ladder[0].parameters"
    (tmp_path / "a.yaml").write_text(_MANY_MISTAKES)
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path, Library.in_folder(SHIPPED.parent, registry()))
    assert caught.value.message.splitlines() == [
        "a.yaml:3: rule.match.tenant: no such field; did you mean 'tenants'?",
        "a.yaml:6: rule.ladder[0].parameter: no such field; did you mean 'parameters'?",
        "a.yaml:7: rule.ladder[1].playbok: no such field; did you mean 'playbook'?",
        "a.yaml:8: rule.ladder[2].after: no such field; fields are playbook, parameters, ask, ticket, page",
        "a.yaml:2: rule.descripton: no such field; did you mean 'description'?",
        "a.yaml:9: rule.gards: no such field; did you mean 'guards'?",
        "a.yaml:9: rule.guards.attempts = '0': too small; at least 1",
        f"{first}.station = '{{{{ alarm.sttion }}}}': alarm has no member 'sttion'; did you mean 'station'?",
        f"{first}.link: recreate-core-endpoint has no such parameter; parameters are station, endpoint",
        "a.yaml:5: rule.ladder[0].playbook: recreate-core-endpoint needs the parameter 'endpoint'",
        "a.yaml:7: rule.ladder[1].playbook: there is no playbook 'reset-station'; did you mean 'restart-station'?",
    ]


def test_mistakes_of_every_kind_are_named_in_one_pass(tmp_path: Path) -> None:
    """The form of one field, a key given twice, a cause, what the network lacks, and what a playbook takes."""
    wrong = (
        "name: two\ndescription: d\ndescription: e\n"
        "match: {causes: [core-link-donw], regions: [cuzco], tenants: [condro]}\nguards: {attempts: 0}\n"
        "ladder:\n  - {playbook: restart-station, parameters: {station: T-LTE-9, sttion: x}}\n  - {ticket: go}\n"
    )
    unread = wrong.replace("match: {", "match: {severities: [GRAVE], ").replace("name: two", "name: three")
    (tmp_path / "a.yaml").write_text(wrong)
    (tmp_path / "b.yaml").write_text(unread)
    library = Library.in_folder(SHIPPED.parent, registry())
    with pytest.raises(InputError) as caught:
        read_rules(tmp_path, library, Names(load_network(TINY)))
    said = [line.partition("; ")[0] for line in caught.value.message.splitlines()]
    rung = "rule.ladder[0].parameters"
    of_form = [
        "a.yaml:3: the key 'description' is given twice",
        "a.yaml:5: rule.guards.attempts = '0': too small",
        f"a.yaml:7: {rung}.sttion: restart-station has no such parameter",
    ]
    of_network = [f"a.yaml:7: {rung}.station = 'T-LTE-9': no such station"]
    of_match = [
        "a.yaml:4: rule.match.causes[0] = 'core-link-donw': no source has this cause",
        "a.yaml:4: rule.match.tenants[0] = 'condro': no such tenant",
        "a.yaml:4: rule.match.regions[0] = 'cuzco': no such region",
    ]
    assert {line for line in said if line.startswith("a.yaml")} == {*of_form, *of_network, *of_match}
    also = {line.replace("a.yaml", "b.yaml") for line in (*of_form, *of_network, *of_match)}
    others = {line for line in said if line.startswith("b.yaml")}
    assert others - also == {"b.yaml:4: rule.match.severities[0] = 'GRAVE': not one of the choices"}
    assert also <= others, "what can't be read hides nothing else"
    assert len(said) == len(set(said)), "each is named once"


def test_mistakes_in_rungs_are_named_beside_a_value_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        GOOD.replace("recreate-core-endpoint", "restart-everything") + "guards: {attempts: 0}\n"
    )
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path, Library.in_folder(SHIPPED.parent, registry()))
    assert caught.value.message.splitlines() == [
        "a.yaml:6: rule.guards.attempts = '0': too small; at least 1",
        "a.yaml:5: rule.ladder[0].playbook: there is no playbook 'restart-everything'; did you mean 'restart-station'?",
    ]


def test_a_rule_runs_a_playbook_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.replace("playbook: recreate-core-endpoint", "repair: recreate-endpoint"))
    with pytest.raises(InputError, match=r"repair: no such field"):
        load_rules(tmp_path)


def test_two_rules_for_one_cause_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("one", "two"))
    with pytest.raises(InputError, match=r"b\.yaml:3: rule\.match: rule one answers 'core-link-down' already"):
        load_rules(tmp_path)


def test_a_missing_folder_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MINKA_RULES"):
        load_rules(tmp_path / "none")


#: Playbooks that carry a remedy of the twin out.
_PLAYBOOKS = {
    Remedy.LOCK_UNLOCK: "cycle-cell",
    Remedy.RESET_UNIT: "reset-radio-unit",
    Remedy.RESTART: "restart-station",
    Remedy.RECREATE_LINK: "recreate-core-endpoint",
    Remedy.RELOAD_LICENCE: "reload-licence",
    Remedy.ACTIVATE_SOFTWARE: "return-to-software",
}
#: Probable causes of faults that a station has no alarm of its own for.
_UNTOLD = {
    "cell-down": CELL_OFF_AIR,
    "sleeping-cell": SLEEPING_CELL,
    "core-link-down": CORE_LINK_DOWN,
    "core-links-down": ALL_LINKS_DOWN,
    "mains-failure": MAINS_LOST,
    "radio-unit-lost": RADIO_UNIT_LOST,
}


def _rule_of(kind: NetworkFaultKind) -> Rule:
    told = [stage.alarm for stage in kind.stages if stage.alarm is not None]
    cause = _UNTOLD.get(kind.name) or f"o-ran-fault-{told[-1].fault_id}"
    (rule,) = (one for one in load_rules(SHIPPED) if cause in one.match.causes and not one.match.follows)
    return rule


@pytest.mark.parametrize(
    "kind", [one for one in NETWORK_FAULTS.values() if {cure.by for cure in one.cures} - {Remedy.VISIT}]
)
def test_each_fault_with_a_cure_from_afar_has_a_rule_that_tries_one(kind: NetworkFaultKind) -> None:
    rule = _rule_of(kind)
    tried = {rung.playbook for rung in rule.ladder}
    assert tried & {_PLAYBOOKS[cure.by] for cure in kind.cures if cure.by is not Remedy.VISIT}, rule.name


@pytest.mark.parametrize(
    "kind",
    [one for one in NETWORK_FAULTS.values() if one.cures and {cure.by for cure in one.cures} == {Remedy.VISIT}],
)
def test_each_fault_that_needs_a_visit_has_a_rule_that_sends_somebody(kind: NetworkFaultKind) -> None:
    assert _rule_of(kind).ladder[-1].ticket


def test_a_file_that_lets_a_rule_act_says_who_does(tmp_path: Path) -> None:
    text = (SHIPPED / "configuration-drift.yaml").read_text(encoding="utf-8")
    (tmp_path / "a.yaml").write_text(text.replace("match:", "mode: auto\nmatch:"))
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path)
    assert caught.value.message == (
        "a.yaml:4: rule.mode = 'auto': a file lets a rule observe or ask; a person lets it act: "
        "minka rules promote NAME --mode auto"
    )
    (tmp_path / "a.yaml").write_text(text.replace("match:", "mode: act\nmatch:"))
    with pytest.raises(InputError, match="'act': not one of the choices; observe or ask"):
        load_rules(tmp_path)
