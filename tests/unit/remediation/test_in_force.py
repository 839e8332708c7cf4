"""One version of rules, playbooks and KPIs is in force: what is shown is what acts."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from controller.models.alarm import DEFINITION_LEFT_OUT, Alarm, AlarmState
from controller.models.definitions import DefinitionFiles
from controller.models.errors import InputError
from controller.models.rule import EVERYWHERE, ProposalState, RuleMode
from controller.models.run import RunState
from controller.playbook.in_force import library_in_force
from controller.remediation.definitions import DefinitionWatch, check, left_out
from controller.remediation.rules import rules_in_force
from controller.remediation.trust import promote
from controller.store import Page, Transition
from tests.support.definitions import put_in_force, shipped_files
from tests.unit.remediation.bench import Bench
from tests.unit.runs.transaction_bench import InstantStore

SHIPPED = shipped_files().texts
RULE = """name: core-link-down
description: Recreates the link.
match: {causes: [core-link-down]}
guards: {settle_seconds: 0, attempts: 9}
verify: {within_seconds: 60, settle_seconds: 0}
ladder:
"""
RUNG = "  - playbook: recreate-core-endpoint\n"
RUNG += "    parameters: {station: '{{ alarm.station }}', endpoint: '{{ alarm.object }}'}\n"
ACTS, ASKS = RULE + RUNG, RULE + "  - ask: Has everybody been told?\n" + RUNG


def files(**rules: str) -> DefinitionFiles:
    """The shipped playbooks and KPIs, and these rules."""
    others = {path: text for path, text in SHIPPED.items() if not path.startswith("rules/")}
    return DefinitionFiles({**others, **{f"rules/{name.replace('_', '-')}.yaml": text for name, text in rules.items()}})


def let_act(bench: Bench, mode: RuleMode = RuleMode.AUTO) -> None:
    """A person promotes the rule that is in force."""
    (rule,) = rules_in_force(bench.store)
    promote(bench.store, rule, EVERYWHERE, mode, bench.clock.now(), by="ana", reason="CHG-7")


def shown(bench: Bench) -> RuleMode:
    """The mode that people see of the rule."""
    (rule,) = rules_in_force(bench.store)
    (grant,) = bench.store.rules.grants()
    return grant.mode_of(rule.digest)


async def test_a_rule_that_is_changed_while_a_scheduler_works_does_not_act_until_it_is_promoted_again(
    bench: Bench,
) -> None:
    put_in_force(bench.store, files=files(core_link_down=ACTS))
    let_act(bench)
    scheduler = bench.scheduler(rules=None, mode=None)
    await bench.round(scheduler)
    put_in_force(bench.store, files=files(core_link_down=ASKS))
    assert shown(bench) is RuleMode.OBSERVE
    link = bench.breaks()
    for _ in range(3):
        await bench.round(scheduler)
    assert bench.runs() == []
    assert [one.state for one in bench.store.rules.of_alarm(link.id)] == [ProposalState.OBSERVED]
    let_act(bench)
    for _ in range(3):
        await bench.round(scheduler)
    asked = bench.store.rules.of_alarm(link.id)[-1]
    assert (asked.state, asked.playbook, bench.runs()) == (ProposalState.ASKED, "", [])


async def test_a_rule_that_is_changed_while_its_repair_is_planned_begins_none(bench: Bench) -> None:
    put_in_force(bench.store, files=files(core_link_down=ACTS))
    let_act(bench)
    scheduler = bench.scheduler(rules=None, mode=None)

    def changes() -> None:
        put_in_force(bench.store, files=files(core_link_down=ASKS))

    bench.launcher.meanwhile = changes
    bench.breaks()
    for _ in range(4):
        await bench.round(scheduler)
    assert bench.launcher.asked, "a repair was planned"
    assert bench.runs() == []


async def test_a_yes_to_another_version_of_a_rule_starts_nothing(bench: Bench) -> None:
    put_in_force(bench.store, files=files(core_link_down=ASKS))
    let_act(bench)
    scheduler, link = bench.scheduler(rules=None, mode=None), bench.breaks()
    await bench.round(scheduler)
    (asked,) = bench.store.rules.of_alarm(link.id)
    put_in_force(bench.store, files=files(core_link_down=ASKS.replace("everybody", "nobody")))
    bench.store.rules.answer(asked.id, yes=True, by="ana", reason="go")
    let_act(bench)
    for _ in range(3):
        await bench.round(scheduler)
    assert bench.runs() == []
    found = [(one.state, one.playbook, one.reason) for one in bench.store.rules.of_alarm(link.id)]
    void = (ProposalState.VOID, "", "its rule changed since, or another rule answers the alarm")
    assert found == [void, (ProposalState.ASKED, "", "")]


async def test_a_rung_that_was_tried_counts_for_its_own_ladder_only(bench: Bench) -> None:
    put_in_force(bench.store, files=files(core_link_down=ACTS + "  - {playbook: restart-station}\n"))
    let_act(bench)
    scheduler, link = bench.scheduler(rules=None, mode=None), bench.breaks()
    await bench.round(scheduler)
    (run,) = bench.runs()
    bench.store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.FAILED, cancel_rest=True))
    put_in_force(bench.store, files=files(core_link_down=ASKS))
    let_act(bench)
    for _ in range(3):
        await bench.round(scheduler)
    assert len(bench.runs()) == 1
    last = bench.store.rules.of_alarm(link.id)[-1]
    assert (last.rung, last.state) == (0, ProposalState.ASKED), (
        "the question in front of the first rung is not passed over"
    )


async def test_a_new_rule_answers_alarms_that_stand(bench: Bench) -> None:
    put_in_force(bench.store, files=files())
    scheduler, link = bench.scheduler(rules=None, mode=None), bench.breaks()
    await bench.round(scheduler)
    await bench.round(scheduler)
    assert "no rule answers it" in bench.store.alarms.get(link.id).note
    put_in_force(bench.store, files=files(core_link_down=ACTS))
    await bench.round(scheduler)
    assert [one.state for one in bench.store.rules.of_alarm(link.id)] == [ProposalState.OBSERVED]
    let_act(bench)
    await bench.round(scheduler)
    assert len(bench.runs()) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_shown_is_what_acts(bench: Bench, seed: int) -> None:
    """Files change, people promote and demote, and schedulers start again, in any order."""
    chance = random.Random(seed)
    put_in_force(bench.store, files=files(core_link_down=ACTS))
    let_act(bench)
    scheduler = bench.scheduler(rules=None, mode=None)
    for number in range(8):
        for _ in range(chance.randrange(3)):
            match chance.choice(("files", "mode", "restart")):
                case "files":
                    text = chance.choice((ACTS, ASKS, ACTS.replace("the link", "it")))
                    put_in_force(bench.store, files=files(core_link_down=text))
                case "mode":
                    let_act(bench, chance.choice(tuple(RuleMode)))
                case _:
                    scheduler = bench.scheduler(rules=None, mode=None)
        acts = shown(bench) is RuleMode.AUTO and not rules_in_force(bench.store)[0].ladder[0].ask
        before, link = len(bench.runs()), bench.breaks(path=f"/EP_S1C[{number}]")
        await bench.round(scheduler)
        assert (len(bench.runs()) > before) is acts, f"step {number} of seed {seed}"
        bench.work()
        bench.heals(link)
        await bench.round(scheduler)


# ------------------------------------------------------------------- files that are wrong


def standing(bench: Bench) -> Mapping[str, Alarm]:
    """Alarms about files."""
    found = bench.store.alarms.page(Page(limit=100))[1]
    return {one.object: one for one in found if one.probable_cause == DEFINITION_LEFT_OUT and one.cleared is None}


WRONG = {
    "rules/core-link-down.yaml": ("laddr: []\n", "rule.laddr: no such field; did you mean 'ladder'?"),
    "playbooks/lock-cell.yaml": ("tagets: '*'\n", "playbook.tagets: no such field; did you mean 'targets'?"),
    "kpis/retainability.yaml": ("formla: x\n", "kpi.formla: no such field; did you mean 'formula'?"),
    "kpis/regulators/osiptel-tine.yaml": ("formla: x\n", "kpi.formla: no such field; did you mean 'formula'?"),
}


@pytest.mark.parametrize("path", WRONG)
async def test_a_misspelt_field_leaves_out_its_file_with_an_alarm_and_nothing_else(bench: Bench, path: str) -> None:
    line, words = WRONG[path]
    texts = {**SHIPPED, path: SHIPPED[path] + line}
    put_in_force(bench.store, files=DefinitionFiles(texts))
    watch = DefinitionWatch(InstantStore(bench.store), bench.clock)
    await watch.step()
    (alarm,) = standing(bench).values()
    where = f"{path}:{len(texts[path].splitlines())}: {words}"
    assert alarm.object == path
    assert where in alarm.text
    assert alarm.state is AlarmState.ESCALATED, "people are called"
    names = {rule.name for rule in rules_in_force(bench.store)}
    known = {one.removeprefix("rules/").removesuffix(".yaml") for one in SHIPPED if one.startswith("rules/")}
    assert known - names == ({"core-link-down"} if path.startswith("rules/") else set())
    assert library_in_force(bench.store).load("restart-station")
    put_in_force(bench.store)
    await watch.step()
    assert standing(bench) == {}


async def test_people_are_called_once_whoever_starts_again(bench: Bench) -> None:
    put_in_force(bench.store, files=DefinitionFiles({**SHIPPED, "rules/core-link-down.yaml": "nam: x"}))
    for _ in range(3):
        watch = DefinitionWatch(InstantStore(bench.store), bench.clock)
        await watch.step()
        await watch.step()
    scheduler = bench.scheduler(rules=None, mode=None)
    await bench.round(scheduler)
    await bench.round(scheduler)
    assert len(bench.people.sent) == 1


async def test_a_playbook_that_is_left_out_takes_the_next_rung_and_then_people(bench: Bench) -> None:
    broken = dict(files(core_link_down=ACTS).texts) | {"playbooks/recreate-core-endpoint.yaml": "nam: x"}
    put_in_force(bench.store, files=DefinitionFiles(broken))
    assert [rule.name for rule in rules_in_force(bench.store)] == ["core-link-down"], "the rule itself is well"
    assert set(left_out(bench.store.definitions.get())) == {"playbooks/recreate-core-endpoint.yaml"}


def test_files_that_are_loaded_by_people_are_all_right_or_refused() -> None:
    check(DefinitionFiles(SHIPPED))
    wrong = {path: SHIPPED[path] + line for path, (line, _) in WRONG.items()}
    with pytest.raises(InputError) as caught:
        check(DefinitionFiles({**SHIPPED, **wrong}, {"rules/x.yaml": (3, "byte 0xff is not UTF-8")}))
    for words in (*(words for _, words in WRONG.values()), "rules/x.yaml:3: byte 0xff"):
        assert words in caught.value.message
    without = {path: text for path, text in SHIPPED.items() if path != "playbooks/restart-station.yaml"}
    with pytest.raises(InputError, match="there is no playbook 'restart-station'"):
        check(DefinitionFiles(without))
