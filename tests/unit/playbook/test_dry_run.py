"""A dry run says what a run would do, what takes each step back, and nothing that nobody knows yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from controller.api.launch import preparation
from controller.api.process import served_app
from controller.inventory.source import Report
from controller.models.errors import InputError
from controller.models.outage import OutageKind
from controller.models.plan import LedgerNode
from controller.models.settings import Settings
from controller.observe.mail import MailRelay
from controller.observe.syslog import Syslog
from controller.observe.webhook import HttpWebhook
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.engine.dry_run import NO_REASON, THIS_RUN, Previewer, StepPreview
from controller.playbook.language.library import parse
from controller.playbook.language.playbook import RUN
from controller.playbook.language.registry import Registry
from controller.ports.clock import VirtualClock
from controller.ports.webhook import FakeWebhook, Webhook
from controller.runs.planning.planner import Planner
from tests.unit.plan.samples import LTE_CELL
from tests.unit.playbook.test_takeover import HEAD, LOCK, LOOK, PlaybookBench
from tests.unit.runs.transaction_bench import STATION, TARGET, InstantStore

ASK = "  - {name: ask, action: ask-a-human, with: {text: Well?}, register: said}\n"
UNKNOWN_RUN: dict[str, Any] = {"id": THIS_RUN, "requested_by": "ana", "reason": NO_REASON}
BACK = LOCK.replace("register", "undo: {action: unlock-cell, with: {cells: '{{ locked.cells }}'}}, register")

UNSETTLED = "the inverse of its change, if it makes one"
AGAIN = LOCK.replace("locked", "again").replace("name: lock", "name: again")


async def preview(
    steps: str,
    run: dict[str, Any] | None = None,
    channels: Mapping[str, Webhook] | None = None,
    actions: Registry | None = None,
    theirs: Sequence[LedgerNode] = (),
    before: Callable[[PlaybookBench], None] = lambda _: None,
) -> list[StepPreview]:
    """What the steps would do on the station of the bench, where all cells are unlocked and on air."""
    known_actions = actions or registry()
    bench = PlaybookBench(steps, known_actions)
    before(bench)
    if theirs:
        bench.store.devices.adopt(STATION, theirs, "", "ana")
    store = InstantStore(bench.store)
    planner = Planner(store, bench.group.devices, bench.clock, lambda *_: TARGET)
    loaded = parse(HEAD + steps, "own.yaml", known_actions, Report())
    assert loaded is not None
    known = {"webhook": FakeWebhook(), **(channels or {})}
    services = ActionServices(store, planner, known.pop("webhook"), bench.clock, channels=known)
    previewer = Previewer(services, known_actions, loaded.playbook)
    return [*await previewer.steps(bench.group.network, STATION, None, {RUN: run or UNKNOWN_RUN})]


@pytest.mark.parametrize(
    ("steps", "undos"),
    [
        (LOOK + LOCK, ["", "the inverse of its change"]),
        (LOCK + AGAIN, ["the inverse of its change", ""]),
        (BACK, ["unlock-cell cells=L1: service comes back"]),
        (
            LOCK.replace("['L1']", "[L1, N1]").replace(
                "register", "undo: {action: unlock-cell, with: {cells: [L1]}}, register"
            ),
            ["unlock-cell cells=L1: service comes back; after that alone, cell N1 stays LOCKED"],
        ),
        (
            "  - {name: lock, action: lock-cell, with: {cells: [L1]}, undo: {action: notify, with: {text: x}}}\n",
            ["notify text=x; after that alone, cell L1 stays LOCKED"],
        ),
        ("  - {name: lock, action: lock-cell, with: {cells: []}, undo: {action: restart-station}}\n", [""]),
        ("  - {name: start, action: restart-station}\n", ["nothing takes it back"]),
        (ASK + LOCK.replace(", register", ", when: '{{ said.answer == ''yes'' }}', register"), ["", UNSETTLED]),
        (
            "  - {name: start, action: restart-station, undo: {action: unlock-cell, with: {cells: all}}}\n",
            ["unlock-cell cells=all"],
        ),
        (
            "  - {name: lock, action: lock-cell, with: {cells: [L1]}, undo: {action: lock-cell, with: {cells: [Q]}}}\n",
            ["lock-cell cells=Q would fail: S1 has no cell Q"],
        ),
        (
            "  - {name: look, action: read-state, when: '{{ target.router }}', undo: {action: restart-station}}\n",
            [""],
        ),
        (
            ASK + "  - {name: lock, action: lock-cell, when: '{{ said.answer == ''yes'' }}', with: {cells: [L1]}, "
            "undo: {action: unlock-cell, with: {cells: ['{{ said.answer }}']}}}\n",
            ["", "unlock-cell cells={{ said.answer }}, by what is known then"],
        ),
    ],
)
async def test_each_step_says_what_takes_it_back(steps: str, undos: list[str]) -> None:
    found = await preview(steps)
    assert len(found) == len(undos)
    for one, undo in zip(found, undos, strict=True):
        assert one.undo.startswith(undo) if undo else one.undo == "", one


async def test_the_preview_of_an_undo_changes_nothing_for_later_steps() -> None:
    locked, again = await preview(BACK + AGAIN)
    assert (locked.says, again.says) == ("outage until unlocked", "nothing to change")


async def test_a_dry_run_says_which_outages_later_steps_end() -> None:
    wait = "  - {name: wait, action: wait-until, with: {condition: cells-on-air, cells: [N1], seconds: 30}}\n"
    lock = "  - {name: lock, action: lock-cell, with: {cells: [L1]}}\n"
    unlock = "  - {name: unlock, action: unlock-cell, with: {cells: [L1]}}\n"
    locked, _, unlocked = await preview(lock + wait + unlock)
    assert locked.says == "outage until a later step of the same run unlocks, after waits of at most 30 s"
    assert (locked.outage.kind, locked.outage.seconds) == (OutageKind.UNTIL_STEP, 30)
    assert unlocked.says == "service comes back"
    (locked, _) = await preview(lock + wait)
    assert locked.says == "outage until unlocked"


def password_missing() -> SecretStr:
    raise InputError("there is no RELAY in the environment")


MAIL = "e-mail, to: [noc@bitel.example]"
EARLIER = "depends on what an earlier step will find"
SET_UP = "which is set up; whether it answers is not tried"


@pytest.mark.parametrize(
    ("via", "channels", "says"),
    [
        ("webhook", {"webhook": HttpWebhook("")}, "would fail: the webhook is not set up: set MINKA_NOTIFY_URL"),
        ("webhook", {"webhook": HttpWebhook("http://127.0.0.1:1/")}, f"would tell the webhook, {SET_UP}"),
        ("syslog", {"syslog": Syslog("", VirtualClock())}, "would fail: syslog is not set up: set MINKA_SYSLOG"),
        ("syslog", {"syslog": Syslog("udp://127.0.0.1:1", VirtualClock())}, f"would tell people by syslog, {SET_UP}"),
        (
            "e-mail",
            {"e-mail": MailRelay("", "", (), password_missing)},
            "would fail: e-mail is not set up: set MINKA_MAIL_RELAY, MINKA_MAIL_FROM, MINKA_MAIL_TO",
        ),
        (
            "e-mail",
            {"e-mail": MailRelay("smtp://127.0.0.1:1", "minka@host.example", (), password_missing)},
            "would fail: e-mail is not set up: set MINKA_MAIL_TO",
        ),
        (
            MAIL,
            {"e-mail": MailRelay("smtp://127.0.0.1:1", "minka@host.example", (), password_missing)},
            f"would tell people by e-mail, {SET_UP}",
        ),
        (
            MAIL,
            {"e-mail": MailRelay("smtp://ana@127.0.0.1:1", "minka@host.example", (), password_missing)},
            "would fail: the password of the mail relay is not set up: there is no RELAY in the environment",
        ),
        (MAIL, {}, "would fail: the channel e-mail is not set up here"),
    ],
)
async def test_a_dry_run_says_whether_a_message_could_be_sent(
    via: str, channels: Mapping[str, Webhook], says: str
) -> None:
    tell = f"  - {{name: tell, action: notify, with: {{text: Cell 1 is off., via: {via}}}}}\n"
    (told,) = await preview(tell, channels=channels)
    assert (told.says, told.fails) == (says, says.startswith("would fail"))


#: What a step takes from an earlier one is not known before the run.
ANSWER = "{{ said.answer }}"
NO_MAIL = {"e-mail": MailRelay("smtp://127.0.0.1:1", "minka@host.example", (), password_missing)}


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("action: notify, with: {text: ANSWER}", "would fail: the webhook is not set up: set MINKA_NOTIFY_URL"),
        ("action: notify, with: {text: ANSWER, via: syslog}", "would fail: the channel syslog is not set up here"),
        ("action: notify, with: {text: ANSWER, via: e-mail}", "would fail: e-mail is not set up: set MINKA_MAIL_TO"),
        (
            "action: notify, with: {text: Done., via: e-mail, to: [ANSWER]}",
            f"{EARLIER}; would tell people by e-mail, {SET_UP}",
        ),
        ("action: notify, with: {text: Done., via: ANSWER}", EARLIER),
        (
            "action: notify, with: {text: Done.}, when: \"{{ said.answer == 'yes' }}\"",
            f"{EARLIER}; it would fail: the webhook is not set up: set MINKA_NOTIFY_URL",
        ),
        (
            "action: ask-a-human, with: {text: ANSWER, seconds: '{{ 0 - 5 }}'}",
            "would fail: seconds: too small; more than 0",
        ),
        (
            "action: download-software, with: {url: 'sftp://198.51.100.1/x.zip', version: ANSWER}",
            "would fail: software comes from what MINKA_SOFTWARE_SOURCES names, which is nothing: sftp://198.51.100.1/x.zip",
        ),
        ("action: lock-cell, with: {cells: [ANSWER]}", EARLIER),
    ],
)
async def test_what_is_known_of_a_step_is_judged_whatever_else_is_not(step: str, says: str) -> None:
    asked = ASK.replace("Well?", "Well?, choices: []")
    text = f"{asked}  - {{name: next, {step}}}\n".replace("ANSWER", f'"{ANSWER}"')
    channels: dict[str, Webhook] = {"webhook": HttpWebhook(""), **NO_MAIL}
    _, told = await preview(text, channels=channels)
    assert told.says.startswith(says)
    assert told.fails is says.startswith("would fail")


async def test_undo_and_soak_checks_are_judged_as_far_as_they_are_known() -> None:
    undo = f"undo: {{action: notify, with: {{text: '{ANSWER}'}}}}"
    soak = "soak_checks:\n  - {name: k, action: check-kpis, with: {before: '{{ kpis }}', kpis: [none-such]}}\n"
    read = "  - {name: kpis, action: read-kpis, when: \"{{ said.answer == 'yes' }}\", register: kpis}\n"
    lock = f"  - {{name: lock, action: lock-cell, with: {{cells: [L1]}}, {undo}}}\n"
    steps = f"{ASK}{read}{lock}{soak}strategy: {{soak: 9}}\n"
    _, _, locked, check = await preview(steps, channels={"webhook": HttpWebhook("")})
    assert locked.undo == f"notify text={ANSWER} would fail: the webhook is not set up: set MINKA_NOTIFY_URL"
    words = "after a soak of 9 s, or the wave is undone; it would fail: no rules, playbooks and KPIs are in force yet"
    assert check.says.startswith(words)


async def test_the_api_judges_by_the_channels_of_the_settings_as_workers_do(tmp_path: Path) -> None:
    app = served_app(Settings(home=tmp_path, syslog="udp://127.0.0.1:1"), "api")
    async with app.router.lifespan_context(app):
        channels = preparation(app.state.services)._services.channels
        assert channels["syslog"].lacks({}) == ""
        assert channels["e-mail"].lacks({}).startswith("e-mail is not set up: set MINKA_MAIL_RELAY")


async def test_nobody_is_said_to_have_answered() -> None:
    asks = (
        "  - {name: ask, action: ask-a-human, with: {text: Go on?, seconds: 60%s}, register: said, "
        "checks: ['{{ output.answer == ''yes'' }}']}\n"
        "  - {name: lock, action: lock-cell, when: '{{ said.answer == ''yes'' }}', with: {cells: [L1]}}\n"
        "  - {name: look, action: read-state}\n"
    )
    for default, late in (("", "the step fails"), (", default: 'no'", "the answer is 'no'")):
        asked, lock, look = await preview(asks % default)
        assert asked.says == (
            f"would ask: Go on? (yes or no); without an answer within 60 s {late}; "
            "goes on if {{ output.answer == 'yes' }}"
        )
        assert lock.says == "depends on what an earlier step will find"
        assert (lock.diff, look.says, asked.fails) == ((), "ok", False)


async def test_the_run_has_an_id_and_a_reason_that_look_like_none_and_decide_nothing() -> None:
    steps = (
        "  - {name: ask, action: ask-a-human, with: {text: '{{ run.id }} of {{ run.requested_by }}'}}\n"
        "  - {name: why, action: ask-a-human, with: {text: '{{ run.reason }}'}}\n"
        "  - {name: odd, action: read-state, when: '{{ run.reason == ''CHG-1'' }}'}\n"
        "  - {name: bare, action: read-state, when: '{{ run[''id''] == ''x'' }}'}\n"
        "  - {name: hers, action: read-state, when: '{{ run.requested_by == ''ana'' }}'}\n"
        "  - {name: checked, action: read-state, checks: ['{{ run.id != ''x'' or run.reason == ''CHG-1'' }}']}\n"
    )
    texts, why, odd, bare, hers, checked = await preview(steps)
    assert "would ask: r-(this run) of ana (yes or no)" in texts.says
    assert "would ask: (the run's reason) (" in why.says
    depends = "depends on what is known once the run is accepted"
    assert [odd.says, bare.says, hers.says, checked.says] == [depends, depends, "ok", "ok"]
    assert len(THIS_RUN) == len("r-21748f9c95")
    given = {"id": THIS_RUN, "requested_by": "ana", "reason": "CHG-1"}
    _, why, odd, *_ = await preview(steps, given)
    assert "would ask: CHG-1 (" in why.says
    assert odd.says == "ok", "a reason that is given is known"


SHUT = "  - {name: shut, action: soft-lock-cell, with: {cells: ['L1']}}\n"
LEFT = "  - {name: left, action: wait-until, with: {condition: cells-locked, cells: ['L1'], seconds: 900}}\n"
STATE = "  - {name: look, action: read-state, register: found}\n"
BY_STATE = (
    "  - {name: lock, action: lock-cell, with: {cells: ['N1']}, "
    "when: '{{ found.cells[0].administrative_state == ''LOCKED'' }}'}\n"
)


async def test_a_cell_that_shuts_down_is_not_locked_before_its_users_have_left() -> None:
    shut, look, by_state = await preview(SHUT + STATE + BY_STATE)
    assert [(row.before, row.after) for row in shut.diff] == [("UNLOCKED", "SHUTTINGDOWN")]
    assert look.says == "not known before: it depends on whether the last users have left cell L1"
    assert by_state.says == "depends on what an earlier step will find"
    assert not look.fails


async def test_a_step_that_waits_for_the_users_says_so_and_what_follows_is_known() -> None:
    shut, left, look, by_state = await preview(SHUT + LEFT + STATE + BY_STATE)
    assert left.says == (
        "would wait until the last users have left cell L1, for 900 s at most; how long that takes is not known"
    )
    assert look.says == "ok"
    assert by_state.diff, "it is locked then"
    assert shut.undo == "the inverse of its change"


async def test_what_a_later_step_would_do_to_a_cell_that_shuts_down() -> None:
    _, lock = await preview(SHUT + LOCK)
    assert [(row.before, row.after) for row in lock.diff] == [("SHUTTINGDOWN", "LOCKED")]
    assert lock.says.endswith("; unless the last users have left cell L1 by then")
    _, unlock = await preview(SHUT + "  - {name: reopen, action: unlock-cell, with: {cells: ['L1']}}\n")
    assert [(row.before, row.after) for row in unlock.diff] == [("SHUTTINGDOWN", "UNLOCKED")]
    assert "unless" not in unlock.says, "either way it is unlocked"
    _, check = await preview(SHUT + "  - {name: on air, action: check-cells-on-air, with: {cells: ['N1']}}\n")
    assert check.says == "ok", "another cell"


CYCLE = "  - {name: cycle, action: cycle-cell, with: {cell: 'L1'}}\n"


async def test_a_lock_of_an_earlier_step_is_called_so_and_one_of_nobody_on_record_too() -> None:
    _, cycle = await preview("  - {name: park it, action: lock-cell, with: {cells: ['L1']}}\n" + CYCLE)
    assert cycle.says == "would fail: step 'park it' of this playbook locked cell L1: it is not touched on S1"
    _, shut = await preview(SHUT + CYCLE)
    assert "step 'shut' of this playbook locked cell L1" in shut.says


WAIT = "  - {name: wait, action: wait-until, with: {condition: %s, seconds: 30}}\n"
ON_AIR, OFF_AIR, LOCKED_L1 = (WAIT % f"{one}, cells: [L1]" for one in ("cells-on-air", "cells-off-air", "cells-locked"))
IF_SAID = LOCK.replace(", register", ", when: '{{ said.answer == ''yes'' }}', register")


@pytest.mark.parametrize(
    ("steps", "says", "fails"),
    [
        (ON_AIR, "ok", False),
        (
            OFF_AIR,
            "would fail now: it waits for 30 s in vain: cell L1: on air, and no step before takes it off the air",
            True,
        ),
        (
            LOCKED_L1,
            "would fail now: it waits for 30 s in vain: cell L1: not locked, and no step before locks it",
            True,
        ),
        (LOCK + OFF_AIR, "ok", False),
        (LOCK + LOCKED_L1, "ok", False),
        (
            LOCK + ON_AIR,
            "would fail now: it waits for 30 s in vain: cell L1: locked, and no step before unlocks it",
            True,
        ),
        (
            LOCK + WAIT % "cells-off-air, cells: [N1]",
            "would fail now: it waits for 30 s in vain: cell N1: on air, and no step before takes it off the air",
            True,
        ),
        (LOCK + "  - {name: unlock, action: unlock-cell, with: {cells: [L1]}}\n" + ON_AIR, "ok", False),
        ("  - {name: start, action: restart-station}\n" + OFF_AIR, "ok", False),
        (
            ASK + IF_SAID + OFF_AIR,
            "would wait for 30 s at most: cell L1: not so now; whether cells-off-air comes true depends on step 'lock'",
            False,
        ),
        (
            SHUT + OFF_AIR,
            "would wait until the last users have left cell L1, for 30 s at most; how long that takes is not known",
            False,
        ),
        (WAIT % "reachable", "ok", False),
        (WAIT % "links-up", "ok", False),
    ],
)
async def test_a_wait_says_whether_anything_before_it_makes_it_true(steps: str, says: str, fails: bool) -> None:
    *_, wait = await preview(steps)
    assert (wait.says, wait.fails) == (says, fails)


async def test_a_wait_for_what_nobody_acts_on_is_not_known() -> None:
    def dark(bench: PlaybookBench) -> None:
        bench.device.failed_cells = {LTE_CELL}

    (wait,) = await preview(ON_AIR, before=dark)
    assert wait.says == (
        "would wait for 30 s at most: cell L1: not so now; whether cells-on-air comes true is not known"
    )
    assert not wait.fails


async def test_steps_behind_one_that_fails_are_named_and_not_worked_out() -> None:
    soak = "soak_checks:\n  - {name: later, action: check-alarms}\nstrategy: {soak: 9}\n"
    wrong = "  - {name: wrong, action: lock-cell, with: {cells: [Q]}}\n"
    other = "  - {name: other, action: read-state, when: '{{ target.router }}'}\n"
    found = await preview(LOOK + wrong + LOCK + other + soak)
    assert [(one.step, one.says, one.fails) for one in found[1:]] == [
        ("wrong", "would fail: S1 has no cell Q; it has L1, N1", True),
        ("lock", "not reached, since step 'wrong' would fail", False),
        ("other", "skipped: {{ target.router }}", False),
        ("later", "not reached, since step 'wrong' would fail", False),
    ]
