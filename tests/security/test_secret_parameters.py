"""Secrets of playbooks: a parameter names one, one action gets its value, and nothing else ever holds it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import EntryPoint
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from controller.bootstrap import parts
from controller.drivers.address import secret_for
from controller.drivers.fake import SAFE, Fault
from controller.drivers.kubernetes.target import KubernetesTarget, PoolTarget
from controller.drivers.protocols import Capabilities
from controller.inventory.source import Report
from controller.models.credentials import LOOPBACK_ONLY, Credentials, DeviceCredential
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import DeviceRefusedError, InputError, MinkaError
from controller.models.network import Noun
from controller.models.process import ProcessRole
from controller.models.run import Outcome
from controller.models.settings import Settings
from controller.models.step import StepState
from controller.playbook.actions.shipped import SHIPPED, registry
from controller.playbook.language.check import check_values
from controller.playbook.language.library import Library, parse
from controller.playbook.language.parameters import Parameter, parse_parameters
from controller.playbook.language.registry import (
    GROUP,
    Context,
    DeviceAccess,
    Postponement,
    Proposal,
    QuestionPlan,
    Registry,
    Remarks,
    UnmetCondition,
    action,
)
from controller.ports.secrets import FakeSecrets
from controller.store import Page
from tests.support.definitions import load_rules, shipped_files
from tests.unit.api.bench import ApiBench, open_bench
from tests.unit.api.test_routes import load
from tests.unit.playbook.test_takeover import LOCK, PlaybookBench, Rests
from tests.unit.runs.transaction_bench import TARGET, retune

SENTINEL = "sentinel-5f1c9"
PLACES = (("edge-1", "127.0.0.1"), ("edge-2", "192.0.2.1"))
HEAD = """\
name: own
description: A playbook.
parameters:
  token: {description: Opens the portal., secret: true, optional: true}
targets: "*"
steps:
"""


class Portal(Noun):
    """What opens a portal, and how it answers."""

    token: SecretStr | None = Field(description="The secret.", default=None)
    says: str = Field(default="", description="How it answers.")


class Answer(Remarks):
    """What it said."""

    words: str
    parts: dict[str, list[str]] = {}


GOT: list[str] = []


@action("open-portal", DeviceAccess.NONE)
async def open_portal(context: Context, given: Portal) -> Answer | UnmetCondition | Postponement:
    """Tell the secret in every way that an action has."""
    value = given.token.get_secret_value() if given.token is not None else "nothing"
    GOT.append(value)
    match given.says:
        case "unmet":
            return UnmetCondition(f"the portal refused {value}")
        case "error":
            raise MinkaError(f"the portal refused {value}")
        case "bug":
            raise ValueError(value)
        case "waits":
            return Postponement(context.clock.now() + timedelta(seconds=60), f"waits for {value}")
        case "asks":
            await context.ask(QuestionPlan(f"Is it {value}?", ("yes", value), value, "run", 60))
    await context.post({"station": context.station, "text": f"opened by {value}", "more": [value]})
    return Answer(words=f"opened by {value}", parts={value: [value]}, remark=f"opened by {value}")


@action("carry", DeviceAccess.CHANGES, consent=None)
async def carry(context: Context, given: Portal) -> Proposal[Answer]:
    """Bring the secret onto the station, which would put it on record."""
    value = given.token.get_secret_value() if given.token is not None else ""
    return Proposal(None, Answer(words=""), (Operation(kind=OperationKind.ACTIVATE, subject=value, seconds=5),))


class Echo(Noun):
    """How a device tells what another step gave to it."""

    says: str = Field(default="", description="How it answers.")


@action("echo", DeviceAccess.NONE)
async def echo(context: Context, given: Echo) -> Answer | UnmetCondition | Postponement:
    """Get no secret, and hear the value all the same: by a device that was told before."""
    heard: Answer | UnmetCondition | Postponement = await open_portal.perform(
        context, Portal(token=SecretStr(SENTINEL), says=given.says)
    )
    return heard


ACTIONS = Registry({**SHIPPED, "open-portal": open_portal, "carry": carry, "echo": echo})


def step(says: str, name: str = "open-portal", more: str = "") -> str:
    return f"  - {{name: open, action: {name}, with: {{token: '{{{{ token }}}}', says: '{says}'}}{more}}}\n"


def credentials(*actions: str) -> Credentials:
    networks = [ip_network("127.0.0.0/8")]
    own = DeviceCredential(reference="env:MINKA_DEVICE_PASSWORD", networks=networks, actions=actions)
    return Credentials(credentials={**LOOPBACK_ONLY.credentials, "portal": own})


KNOWN = credentials("open-portal", "carry")


def played(
    steps: str,
    value: str | None = SENTINEL,
    networks: Iterable[str] = ("127.0.0.0/8",),
    known: Credentials = KNOWN,
    capabilities: Capabilities = SAFE,
) -> PlaybookBench:
    return PlaybookBench(
        steps,
        ACTIONS,
        scenario=retune(capabilities),
        head=HEAD,
        parameters={"token": "portal"},
        secrets=FakeSecrets({"portal": value}, networks),
        credentials=known,
    )


def recorded(bench: PlaybookBench) -> str:
    """The whole database as text."""
    with bench.store.database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        dump, raw = "\n".join(driver.iterdump()), driver.serialize()
    assert SENTINEL.encode() not in raw
    return dump


LOOK = "  - {name: look, action: notify, with: {text: '{{ seen.words }}'}, when: '{{ seen is defined }}'}\n"


@pytest.mark.parametrize(
    ("says", "outcome", "detail"),
    [
        ("", Outcome.SUCCEEDED, "opened by [secret portal]"),
        ("asks", Outcome.SUCCEEDED, "opened by [secret portal]"),
        ("unmet", Outcome.FAILED_SAFE, "the portal refused [secret portal]"),
        ("error", Outcome.FAILED_SAFE, "the portal refused [secret portal]"),
        ("bug", Outcome.BUG, "an error in the action open-portal itself: the worker's log says more"),
    ],
)
async def test_only_the_action_gets_the_value(
    says: str, outcome: Outcome, detail: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    GOT.clear()
    bench = played(step(says, more=", register: seen") + LOOK)
    job = await bench.work()
    assert (job.outcome, GOT) == (outcome, [SENTINEL])
    assert detail in job.detail
    rows = bench.rows()
    assert rows[0].inputs == {"token": "portal", "says": says}
    kept = bench.store.audit.page(Page(limit=1000))[1]
    assert [row.detail["parameters"] for row in kept if row.action == "run.created"] == ['{"token":"portal"}']
    said = capfd.readouterr()
    told = [recorded(bench), repr(rows), repr(job), repr(bench.webhook.sent), said.out, said.err, caplog.text]
    assert not [one for one in told if SENTINEL in one]


def echoing(says: str, more: str = "") -> str:
    return f"  - {{name: echo, action: echo, with: {{says: '{says}'}}{more}}}\n"


@pytest.mark.parametrize(
    "steps",
    [
        *(step("") + echoing(says, ", register: seen") + LOOK for says in ("", "asks", "unmet", "error", "bug")),
        echoing("") + step(""),
        step("") + echoing("", """, checks: ["{{ output.words == '1' }}"]"""),
    ],
    ids=["output", "question", "unmet", "error", "bug", "before the step that gets it", "check"],
)
@pytest.mark.parametrize("networks", ["127.0.0.0/8", "192.0.2.0/24"], ids=["may get it", "may not get it"])
async def test_no_other_step_puts_it_on_record(
    steps: str, networks: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also on a device that may not get it, and hears of it from another one."""
    caplog.set_level(logging.DEBUG)
    if networks != "127.0.0.0/8":
        steps = steps.replace(step(""), "") + step("", more=", when: '{{ 1 > 2 }}'")
    bench = played(steps, networks=[networks])
    job = await bench.work()
    said = capfd.readouterr()
    told = [recorded(bench), repr(bench.rows()), repr(job), repr(bench.webhook.sent), said.out, said.err, caplog.text]
    assert not [one for one in told if SENTINEL in one]
    assert "[secret portal]" in told[1] or "the worker's log says more" in told[1]


async def test_a_worker_that_takes_over_masks_what_an_earlier_one_gave() -> None:
    bench = played(step("") + echoing("waits"))
    for _ in range(2):
        with pytest.raises(Rests, match=r"waits for \[secret portal\]") as rests:
            await bench.work()
        await bench.clock.advance((rests.value.until - bench.clock.now()).total_seconds() + 1)
    assert [row.state for row in bench.rows()] == [StepState.DONE, StepState.STARTED]
    assert SENTINEL not in recorded(bench)


@pytest.mark.parametrize("operation", ["edit", "commit_confirmed", "read"])
async def test_a_device_that_repeats_it_in_an_error_is_masked(operation: str) -> None:
    """Journal, behaviour of servers, step, job and audit trail."""
    bench = played(step("") + LOCK, capabilities=replace(SAFE, software="acme-1"))

    def refuse() -> None:
        raise DeviceRefusedError(f"bad-element: {SENTINEL}")

    bench.device.faults.append(Fault(operation, act=refuse, times=9))
    await bench.work()
    dump = recorded(bench)
    assert SENTINEL not in dump
    assert "bad-element: [secret portal]" in dump


async def test_a_step_that_waits_says_nothing_of_it_either() -> None:
    bench = played(step("waits"))
    with pytest.raises(Rests, match=r"waits for \[secret portal\]"):
        await bench.work()
    assert SENTINEL not in recorded(bench)


async def test_a_secret_in_digits_is_no_number_on_record() -> None:
    bench = played(step(""), value="48151623")
    await bench.work()
    assert "48151623" not in recorded(bench)


async def test_no_change_carries_one() -> None:
    bench = played(step("", "carry"))
    job = await bench.work()
    assert (job.outcome, bench.device.equipment.sent) == (Outcome.REFUSED, [])
    assert "the action would put a secret on record, and was stopped: portal" in job.detail
    assert SENTINEL not in recorded(bench)


async def test_a_device_outside_of_its_networks_gets_none() -> None:
    GOT.clear()
    bench = played(step(""), networks=["192.0.2.0/24"])
    job = await bench.work()
    assert (job.outcome, GOT) == (Outcome.REFUSED, [])
    assert "is outside of the networks of credential 'portal'" in job.detail


async def test_an_action_that_the_settings_do_not_name_gets_none() -> None:
    GOT.clear()
    bench = played(step(""), known=credentials("carry"))
    job = await bench.work()
    assert (job.outcome, GOT) == (Outcome.REFUSED, [])
    assert "credential 'portal' is not for the action open-portal; its actions are carry" in job.detail


@pytest.mark.parametrize(("value", "said"), [(None, "leads nowhere"), ("", "is empty")])
async def test_one_that_does_not_resolve_fails_the_step(value: str | None, said: str) -> None:
    GOT.clear()
    bench = played(step(""), value)
    job = await bench.work()
    assert (job.outcome, GOT) == (Outcome.REFUSED, [])
    assert said in job.detail


async def test_workers_resolve_what_the_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_TOKEN", SENTINEL)
    file = tmp_path / "credentials.yaml"
    file.write_text(
        "credentials:\n  portal: {reference: 'env:PORTAL_TOKEN', networks: [127.0.0.0/8], actions: [open-portal]}\n"
    )
    async with parts(Settings(home=tmp_path / "home", credentials=file), ProcessRole.WORKER) as made:
        services = made._services()
        assert services.credentials.for_actions == ("portal",)
        assert (await services.secret_for(TARGET, "portal")).get_secret_value() == SENTINEL


async def test_all_pools_of_a_function_must_be_such_that_may_get_it() -> None:
    known = FakeSecrets({"portal": SENTINEL}, ["127.0.0.0/8"])
    assert (await secret_for(known, TARGET, "portal")).get_secret_value() == SENTINEL
    here, there = (PoolTarget(name, address, 6443, "pool-authority") for name, address in PLACES)
    function = KubernetesTarget("UP-1", ("function",), (here,))
    assert (await secret_for(known, function, "portal")).get_secret_value() == SENTINEL
    with pytest.raises(InputError, match=r"192\.0\.2\.1 is outside of the networks"):
        await secret_for(known, replace(function, pools=(here, there)), "portal")
    with pytest.raises(InputError, match="the address of UP-1 is not known: it is on no pool"):
        await secret_for(known, replace(function, pools=()), "portal")
    with pytest.raises(InputError, match="the address of S1 is not known"):
        await secret_for(known, replace(TARGET, address="nowhere.invalid"), "portal")


# ------------------------------------------------------------------- over HTTP


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiBench]:
    offered = [EntryPoint("one", f"{__name__}:open_portal", GROUP)]
    monkeypatch.setattr("controller.playbook.language.registry.entry_points", lambda group: offered)
    registry.cache_clear()
    async with open_bench(tmp_path) as made:
        await load(made)
        texts = {**shipped_files().texts, "playbooks/own.yaml": HEAD.replace('"*"', "T-LTE-1") + step("")}
        put = await made.client.put("/v1/definitions", json={"files": texts, "reason": "CHG-7"})
        assert put.status_code == 200, put.text
        state = made.app.state
        state.services = replace(state.services, credentials=KNOWN)
        yield made
    registry.cache_clear()


@pytest.mark.parametrize("door", ["dry-run", "runs"])
async def test_a_literal_is_refused_by_the_api(
    bench: ApiBench, tmp_path: Path, door: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for given in (SENTINEL, f"{SENTINEL.upper()}!", [SENTINEL]):
        answer = await bench.client.post(f"/v1/playbooks/own/{door}", json={"parameters": {"token": given}})
        assert answer.status_code == 422, answer.text
        assert SENTINEL not in answer.text.lower()
        if isinstance(given, str):
            assert "a secret is given by the name of a credential of the server's settings" in answer.json()["detail"]
    said = capfd.readouterr()
    files = [path.read_bytes().lower() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [one for one in (said.out, said.err, caplog.text) if SENTINEL in one.lower()]
    assert files
    assert not [one for one in files if SENTINEL.encode() in one]


async def test_the_api_shows_and_keeps_the_name_and_never_resolves_it(
    bench: ApiBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINKA_DEVICE_PASSWORD", SENTINEL)
    GOT.clear()
    asked = {"parameters": {"token": "portal"}}
    dry = await bench.client.post("/v1/playbooks/own/dry-run", json=asked)
    assert dry.status_code == 200, dry.text
    assert [one["says"] for one in dry.json()["stations"][0]["steps"]] == ["is not tried: it takes the secret portal"]
    run = await bench.client.post("/v1/playbooks/own/runs", json=asked | {"reason": "CHG-7"})
    assert (run.status_code, run.json()["parameters"]) == (202, {"token": "portal"})
    shown = [
        await bench.client.get(path)
        for path in (f"/v1/runs/{run.json()['id']}", "/v1/runs", "/v1/audit", "/v1/playbooks/own")
    ]
    assert not [one for one in (dry, run, *shown) if one.status_code >= 400 or SENTINEL in one.text]
    assert not [one for one in tmp_path.rglob("*") if one.is_file() and SENTINEL.encode() in one.read_bytes()]
    assert GOT == []
    asked = {"parameters": {"token": "device"}}
    other = await bench.client.post("/v1/playbooks/own/runs", json=asked)
    assert other.status_code == 422
    assert "those of MINKA_CREDENTIALS with actions are portal" in other.json()["detail"]


async def test_a_run_is_refused_whose_action_may_not_get_the_secret(bench: ApiBench) -> None:
    bench.app.state.services = replace(bench.app.state.services, credentials=credentials("carry"))
    answer = await bench.client.post("/v1/playbooks/own/runs", json={"parameters": {"token": "portal"}})
    assert answer.status_code == 422
    assert "step 'open': credential 'portal' is not for the action open-portal" in answer.json()["detail"]


def test_no_rule_gives_one(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "playbooks" / "own.yaml").write_text(HEAD + step(""))
    (tmp_path / "rules" / "a.yaml").write_text(
        "name: a\ndescription: x\nmatch: {causes: [core-link-down]}\nladder:\n"
        f"  - playbook: own\n    parameters: {{token: {SENTINEL}}}\n"
    )
    with pytest.raises(InputError, match="is a secret, which no rule gives") as raised:
        load_rules(tmp_path / "rules", Library.in_folder(tmp_path / "playbooks", ACTIONS))
    assert SENTINEL not in raised.value.message


# ------------------------------------------------------------------ the language


def problems(text: str) -> str:
    report = Report()
    parse(text, "own.yaml", ACTIONS, report)
    return "\n".join(str(one) for one in report.problems)


def test_a_good_one() -> None:
    assert problems(HEAD + step("")) == ""


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "  - {name: tell, action: notify, with: {text: '{{ token }}'}}\n",
        HEAD + "  - {name: tell, action: notify, with: {text: 'it is {{ token|upper }}'}}\n",
        HEAD + step("", more=", when: '{{ token == 1 }}'"),
        HEAD + step("", more=", checks: ['{{ token }}']"),
        HEAD + step("{{ token }}"),
        HEAD.replace('"*"', '"site={{ token }}"') + step(""),
        HEAD + "  - {name: look, action: read-state, undo: {action: notify, with: {text: '{{ token }}'}}}\n",
    ],
)
def test_it_goes_nowhere_else(text: str) -> None:
    assert "token is a secret, which goes nowhere else" in problems(text)


@pytest.mark.parametrize("given", [SENTINEL, "{{ token }}x", "{{ token|upper }}", "{{ target.site }}", "{{ site }}"])
def test_an_input_that_is_a_secret_takes_nothing_else(given: str) -> None:
    found = problems(HEAD + step("").replace("{{ token }}", given))
    assert "own.yaml:7: playbook.steps[0].with.token" in found
    assert "is a secret, and takes nothing but a parameter with secret: true" in found
    assert SENTINEL not in found


@pytest.mark.parametrize(
    ("field", "said"), [("default: abc", "no default"), ("type: int", "no type"), ("choices: [a]", "no choices")]
)
def test_the_parameter_itself_holds_no_value(field: str, said: str) -> None:
    found = problems(HEAD.replace("secret: true", f"secret: true, {field}") + step(""))
    assert f"a secret is the name of a credential, and has {said} of its own" in found


@pytest.mark.parametrize("given", [SENTINEL, "Sentinel-5F1C9!", 4815162342, True, ["sentinel"]])
def test_a_literal_is_refused_and_not_repeated(given: Any) -> None:
    wanted = {"token": Parameter(description="One.", secret=True)}
    with pytest.raises(InputError) as raised:
        parse_parameters(wanted, {"token": given}, credentials=("portal", "device"))
    assert raised.value.message.startswith(
        "token: a secret is given by the name of a credential of the server's setting"
    )
    assert str(given) not in raised.value.message
    assert parse_parameters(wanted, {"token": "portal"}, credentials=("portal",)) == {"token": "portal"}


def test_values_are_checked_by_name() -> None:
    loaded = parse(HEAD + step(""), "own.yaml", ACTIONS, Report())
    assert loaded is not None
    check_values(loaded.playbook, ACTIONS, {"token": "portal"})


def test_actions_say_plainly_which_inputs_are_secrets() -> None:
    class Deep(Noun):
        tokens: tuple[SecretStr, ...] = ()

    class Bounded(Noun):
        token: SecretStr = Field(min_length=20)

    for inputs, said in ((Deep, "is an input of its own"), (Bounded, "has neither constraints nor a default")):

        async def act(context: Context, given: Any) -> Answer:
            return Answer(words="")

        act.__annotations__ = {"context": Context, "given": inputs, "return": Answer}
        with pytest.raises(TypeError, match=said):
            action("wrong", DeviceAccess.NONE)(act)
