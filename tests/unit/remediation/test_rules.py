from __future__ import annotations

from pathlib import Path

import pytest

from controller.models.errors import InputError
from controller.remediation.rules import Repair, load_rules

SHIPPED = Path(__file__).parents[3] / "playbooks" / "rules"
GOOD = "name: one\ndescription: d\nprobable_cause: core-link-down\nrepair: recreate-endpoint\n"


def test_the_shipped_rules_answer_their_causes() -> None:
    rules = {rule.probable_cause: rule for rule in load_rules(SHIPPED)}
    assert {cause: rule.repair or rule.playbook for cause, rule in rules.items()} == {
        "core-link-down": Repair.RECREATE_ENDPOINT,
        "configuration-drift": Repair.REPAIR_DRIFT,
        "o-ran-fault-30": "reset-radio-unit",
    }
    assert all(rule.guards.attempts == 1 and rule.guards.cool_down_seconds >= 600 for rule in rules.values())


def test_every_problem_of_every_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + "guards: {attempts: 0}\nverify_seconds: soon\n")
    (tmp_path / "b.yaml").write_text("name: two\nrepair: reboot\n")
    (tmp_path / "c.yaml").write_text("- [\n")
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path)
    for words in (
        "a.yaml",
        "attempts",
        "verify_seconds",
        "b.yaml",
        "description",
        "probable_cause",
        "repair",
        "c.yaml",
    ):
        assert words in caught.value.message


def test_a_wrong_field_says_what_would_be_right(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        GOOD.replace("recreate-endpoint", "reboot") + "guards: {attemps: 1, attempts: x}\n"
    )
    with pytest.raises(InputError) as caught:
        load_rules(tmp_path)
    assert caught.value.message.splitlines() == [
        "a.yaml:4: rule.repair = 'reboot': not one of the choices; recreate-endpoint or repair-drift",
        "a.yaml:5: rule.guards.attempts = 'x': not a whole number",
        "a.yaml:5: rule.guards.attemps: no such field; did you mean 'attempts'?",
    ]


@pytest.mark.parametrize("wrong", ["playbook: reset-radio-unit\n", "parameters: {unit: ru-1}\n"])
def test_a_rule_has_one_remedy(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + wrong)
    with pytest.raises(InputError, match=r"either repair or playbook|parameters belong to a playbook"):
        load_rules(tmp_path)


def test_two_rules_for_one_cause_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("one", "two"))
    with pytest.raises(InputError, match="rule one answers"):
        load_rules(tmp_path)


def test_a_missing_folder_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MINKA_RULES"):
        load_rules(tmp_path / "none")
