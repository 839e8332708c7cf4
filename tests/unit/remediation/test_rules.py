from __future__ import annotations

from pathlib import Path

import pytest

from controller.inventory.load import load_network
from controller.inventory.selectors import select
from controller.models.alarm import Alarm, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.errors import InputError
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.plan_section import AGAIN
from controller.playbook.language.expressions import evaluate
from controller.playbook.language.library import Library
from controller.playbook.language.parameters import parse_parameters
from controller.remediation.rules import load_rules
from tests.support.records import START

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"
SHIPPED = Path(__file__).parents[3] / "playbooks" / "rules"
GOOD = "name: one\ndescription: d\nmatch: {causes: [core-link-down]}\nladder:\n  - playbook: recreate-core-endpoint\n"


def test_the_shipped_rules_answer_their_causes() -> None:
    rules = {cause: rule for rule in load_rules(SHIPPED) for cause in rule.match.causes}
    assert {cause: rule.playbooks[0] for cause, rule in rules.items()} == {
        "core-link-down": "recreate-core-endpoint",
        "user-plane-down": "recreate-core-endpoint",
        "configuration-drift": "repair-drift",
        "o-ran-fault-30": "reset-radio-unit",
        "alarm-list-crowded": "acknowledge-alarm",
    }
    # A node that drifts again is refused by the playbook: several nodes of a station may be brought back one by one.
    attempts = {cause: rule.guards.attempts for cause, rule in rules.items()}
    few = {"core-link-down": 1, "user-plane-down": 1, "o-ran-fault-30": 1}
    assert attempts == {**few, "configuration-drift": 5, "alarm-list-crowded": 2}
    assert all(rule.guards.cool_down_seconds >= 600 for rule in rules.values())
    assert rules["configuration-drift"].guards.cool_down_seconds == AGAIN.total_seconds()


@pytest.mark.parametrize(
    "cause", ["core-link-down", "user-plane-down", "configuration-drift", "o-ran-fault-30", "alarm-list-crowded"]
)
def test_what_shipped_rules_give_their_playbooks_is_what_these_take(cause: str) -> None:
    (rule,) = (one for one in load_rules(SHIPPED) if cause in one.match.causes)
    network = load_network(TINY)
    report = AlarmReport(
        station="T-LTE-1",
        object="/ManagedElement[T-LTE-1]/ENBFunction[1]/EP_S1C[one]",
        probable_cause=cause,
        specific_problem="ru-1",
        severity=PerceivedSeverity.MAJOR,
        source=AlarmSource.CHECK,
        at=START,
    )
    alarm = Alarm(**report.model_dump(exclude={"at"}), id="a-1", state=AlarmState.RAISED, raised=START, changed=START)
    (rung,) = rule.ladder
    playbook = Library(SHIPPED.parent, registry()).load(rung.playbook or "").playbook
    values = parse_parameters(playbook.parameters, rung.given(alarm), network)
    assert select(network, str(evaluate(playbook.targets, values))) == ("T-LTE-1",)


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
