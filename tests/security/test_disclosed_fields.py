"""Each field of each answer, and of each message, that a tenant may get: a new one gets its place here, after thought.

Answers without a model are not here: streams of events are made of the same classes, and files have tests of their own.
Messages are those to contacts of the network files. Programs and addresses of the settings are the host's own, and a
playbook's ``notify`` sends the text that its author wrote.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient
from pydantic import BaseModel

from controller.access import disclosure, messages
from controller.access.disclosure import visible_proof
from controller.access.roles import ROLES
from controller.access.tenant_scope import KINDS, LISTED, tenant_scope
from controller.api import views
from controller.api.app import api_routes
from controller.api.auth import Route
from controller.api.reports import TenantIncidentReport
from controller.api.routes.approvals import visible_vote
from controller.api.services import services
from controller.models.approval import (
    Contract,
    OpenInput,
    Requirement,
    RunConstraints,
    StationConstraints,
    Vote,
    VoteChoice,
)
from controller.models.network import Agreement, Network, Tenant
from controller.models.people import Person, Role
from controller.models.plan import Plan
from controller.models.run import Job, Strategy
from controller.models.scalars import Noun
from controller.models.sharing import ActionClass
from controller.models.statement import IssuedStatement, StatementForm, StatementKind, StatementProof
from controller.models.step import RunPlaybook
from controller.nrm.tree import Observed
from controller.ports.webhook import Contacts
from controller.runs.planning.planner import Planner
from controller.store import NewJob, PlanHead
from tests.support.callers import admit
from tests.support.launch import prepared
from tests.unit.api.bench import open_bench
from tests.unit.api.test_routes import load_and_adopt, plan
from tests.unit.plan import samples

#: Class that the host alone gets → the one that a tenant gets in its place, from the caller's view.
HOST_ONLY: dict[object, type] = {
    Plan: disclosure.TenantPlan,
    PlanHead: disclosure.TenantPlanHead,
    Job: disclosure.TenantJob,
    views.RunView: disclosure.TenantRun,
    views.DeviceView: disclosure.TenantStation,
    views.FunctionView: disclosure.TenantFunction,
    views.AlarmView: disclosure.TenantAlarm,
    views.IncidentView: disclosure.TenantIncident,
    views.IncidentStory: disclosure.TenantIncidentStory,
    views.IncidentReport: TenantIncidentReport,
    messages.HostCallContent: messages.TenantCallContent,
}
#: Class → its fields that a tenant gets. A field that is new here is disclosed: it gets its place after some thought.
DISCLOSED: dict[str, str] = {
    "AgreementMinutes": (
        "agreement tenant availability_percent restore_hours used allowed left share burn_rate unseen "
        "unobserved reasons not_applied unproved_allowed"
    ),
    "AnnouncedWork": "id tenant nodes links begins ends by reason created cancelled",
    "AskedStep": "action consent outage off_air",
    "AuditRow": "id at actor action object detail",
    "Call": (
        "alarm escalation side number kind duty place nth contact instead_of at next used_up message attempts claimed "
        "sent acknowledged acknowledged_by"
    ),
    "CalledAlarm": "alarm incident what severity station object cells since number duty instead_of",
    "CallsContent": "kind calls text",
    "CellTenant": "tenant agreements agreed configured",
    "Comment": "id about at by side to text",
    "Contract": "agreement clause",
    "DiffRow": "cell tenant what before after elsewhere",
    "Duty": "name days hours severities kinds contacts repeat_minutes calls",
    "DutyNow": "duty pages tickets called repeat_minutes calls",
    "Figure": "kpi unit value low high sample cells begin end pooled unjudged why",
    "Gathered": "side kinds severity places causes incidents notices more listing text",
    "GatheredCalls": "id side contact severity places causes incidents alarms first more listing text",
    "GatheredCause": "what severity places",
    "GatheredPlaces": "incidents stations named sites regions",
    "HandOver": "id side contact to since until by reason",
    "IssuedStatement": "id kind tenant month version latest issued by reason digests",
    "IssuedToken": "token secret",
    "Keys": "keys",
    "Kpi": "name title category description formula source unit better statistic minimum tolerance levels watched",
    "KpiSeries": "kpi level tenant begin end seconds count next results",
    "LinkHealth": "path tenant kind state missing fault odd locked tunnel since",
    "LiveConfig": "station tree state",
    "Loss": "since cells",
    "Me": "name role side permissions ends",
    "NetworkSummary": "id name digest counts",
    "Notice": "id run incident tenant kind at stations begins text sent cells since what severity doing outage",
    "NoticeContent": "notice",
    "NoticeOutage": "kind seconds begins ends off_air",
    "NoticesContent": "notices text",
    "OffAir": "cells count of open",
    "OpenInput": "file step input expression why stations",
    "Outage": "kind seconds",
    "PendingApproval": "run created procedure stations steps requirements votes parts",
    "Point": "begin value sample",
    "PublishedHead": "size issued note",
    "Requirement": (
        "side action consent needed approvers clauses sign_in lead_hours agreement stations outage off_air withdrawn"
    ),
    "Schedule": "side description on_call",
    "Series": "of figure points",
    "SharedCellView": "station cell rat band primary_plmn tenants",
    "ShiftReport": "network side timezone begin end local sheets",
    "ShiftSheet": "title columns rows more grouped severities",
    "SideOnCall": "side at now hand_overs schedule warnings",
    "StatementProof": "statement form wrong",
    "StationPart": "station diff outage",
    "TenantAlarm": (
        "id station object object_class tenant cells probable_cause severity text source state raised changed "
        "cleared until announced"
    ),
    "TenantCallContent": "kind call alarm text",
    "TenantChange": "station diff interrupts outage removes withdrawn",
    "TenantFunction": (
        "function kind package version replicas applied_replicas stations carries endpoints running placed wrong seen"
    ),
    "TenantHealth": "at reachable cells odd locked links",
    "TenantIncident": "id state root severity opened changed closed cells people standing losing merged_into",
    "TenantIncidentReport": (
        "id state root severity opened changed closed cells people standing losing merged_into alarms minutes "
        "agreements comments runs notices"
    ),
    "TenantIncidentStory": (
        "id state root severity opened changed closed cells people standing losing merged_into alarms minutes "
        "agreements comments"
    ),
    "TenantIndicators": "until values",
    "TenantJob": "run station state outcome started finished",
    "TenantMinutes": "tenant lost planned own_work own_core outside unseen people",
    "TenantPlan": "id created changes",
    "TenantPlanHead": "id created stations",
    "TenantRun": "id procedure plan state created started finished counts",
    "TenantStation": "station site region profiles health indicators",
    "Token": "id owner label scopes created expires used revoked maker",
    "ToldCall": "side duty number contact instead_of id at",
    "ToldNotice": ("id run incident tenant kind at stations begins text cells since what severity doing outage"),
    "Vote": "person side role choice reason at token maker issuer gone",
    "Withdrawal": "cells people",
}
#: Class → its fields that the host alone gets: a tenant finds them empty. A test below asks for each as both; of
#: messages, ``tests/unit/remediation/test_gathered_calls.py`` and ``tests/unit/runs/test_gathered_notices.py``.
EMPTY: dict[str, str] = {
    "PendingApproval": "parameters open_inputs requested_by reason",
    "Vote": "subject contracts",
    "AskedStep": "name",
    "CalledAlarm": "reason tenants",
    "GatheredPlaces": "tenants",
    "Notice": "tenants",
    "ToldNotice": "tenants",
    "LiveConfig": "unknown",
    "Requirement": "stands_for",
    "StatementProof": "row hash",
}
#: Objects of the network that a tenant may list (``GET /v1/network/{kind}``), and classes in their fields → the fields
#: that a tenant gets. Of an object the rest is left out (``LISTED`` of ``controller/access/tenant_scope.py``).
NETWORK: dict[str, str] = {
    "Region": "id name timezone",
    "Site": "id name region latitude longitude population",
    "Station": "id site profiles transport_address enb_id enb_id_length gnb_id gnb_id_length",
    "Cell": "station id rat local_id band arfcn_dl arfcn_ul bandwidth_mhz pci tac primary_plmn",
    "OwnCell": "tenant station cell tac node_id node_id_length local_id",
    "Function": "id package owner replicas max_latency_us",
    "Tenant": "id name plmns slices core contacts",
    "Snssai": "sst sd",
    "Core": "vlan mme_pool sgw_pool amf_pool upf_pool security_gateway",
    "CoreNode": "id address",
    "Gateways": "id prefix shared",
    "UserPlaneFunction": "id address prefix shared slices",
    "SecurityGateway": "address protects shared",
    "Contact": "id name email webhook credential",
    "Agreement": (
        "id tenant sharing scope plmns slices shares validity windows consents notice_hours approvals_needed approvers "
        "reduce_clauses sign_in_to_approve capacity functions sla prices"
    ),
    "Scope": "everywhere regions sites stations cells bands rats",
    "RadioShare": "resource dedicated min max",
    "Validity": "start end",
    "MaintenanceWindow": "days start end",
    "PoolCapacity": "pool cores gbps overbooking_percent",
    "Sla": (
        "availability_percent restore_hours outside_causes unproved_percent unseen_borne_by restored_minutes penalties"
    ),
    "Penalty": "below_percent credit_percent",
    "Prices": "currency change decimals rounding lines",
    "PriceLine": "id per amount direction included qos pools",
}


def fields_of(kind: object) -> dict[str, object]:
    """Fields of a class of answers with their types; none of anything else."""
    if not isinstance(kind, type):
        return {}
    if issubclass(kind, BaseModel):
        computed = {name: one.return_type for name, one in kind.model_computed_fields.items()}
        return {name: one.annotation for name, one in kind.model_fields.items()} | computed
    if dataclasses.is_dataclass(kind):
        named = {one.name for one in dataclasses.fields(kind)}
    else:
        named = {*getattr(kind, "_fields", ())}
    return {name: of for name, of in typing.get_type_hints(kind).items() if name in named}


def classes_in(kind: object, known: set[object], beside: tuple[object, ...] = ()) -> Iterator[type]:
    """Classes of answers in a type, with those in their fields, but for a host's class beside the tenant's."""
    if kind in known or HOST_ONLY.get(kind) in beside:
        return
    known.add(kind)
    found = fields_of(kind)
    if isinstance(kind, type) and found:
        yield kind
    inner = typing.get_args(kind)
    choice = inner if typing.get_origin(kind) in (typing.Union, types.UnionType) else ()
    for one in inner:
        yield from classes_in(one, known, choice)
    for one in found.values():
        yield from classes_in(one, known)


def tenants_routes() -> list[Route]:
    """Routes that somebody of a tenant may call."""
    may = {permission for role, permissions in ROLES.items() if role.of_tenant for permission in permissions}
    return [route for route in api_routes() if route.permission in may]


def contents() -> set[type]:
    """Classes of all messages that a contact of a tenant may get."""
    return {*classes_in(typing.get_type_hints(Contacts.notify)["content"], set())}


def disclosed() -> set[type]:
    """Classes of all answers of routes that somebody of a tenant may call, and of messages."""
    known: set[object] = set()
    return contents() | {found for route in tenants_routes() for found in classes_in(route.response_model, known)}


def test_a_class_of_the_hosts_alone_is_passed_over_only_beside_the_tenants() -> None:
    for host, tenant in HOST_ONLY.items():
        assert isinstance(host, type)
        assert host in {*classes_in(host, set())}
        assert host in {*classes_in(list[host], set())}  # type: ignore[valid-type]
        assert host in {*classes_in(host | None, set())}
        assert host in {*classes_in(tuple[host, tenant], set())}  # type: ignore[valid-type]
        assert host not in {*classes_in(host | tenant, set())}


def test_the_view_of_the_caller_chooses_between_the_hosts_class_and_the_tenants() -> None:
    chosen = 0
    for route in tenants_routes():
        known: set[object] = set()
        inner = {*classes_in(route.response_model, known)}
        if inner & {*HOST_ONLY.values()}:
            calls = {one.call for one in route.dependant.dependencies}
            assert views.view in calls, route.path
            assert services not in calls, route.path
            chosen += 1
    assert chosen > 10


def test_the_table_names_all_fields_that_a_tenant_may_get_and_nothing_else() -> None:
    found = {kind.__name__: {*fields_of(kind)} for kind in disclosed() if not kind.__name__.startswith("Listing[")}
    table = {name: {*DISCLOSED.get(name, "").split(), *EMPTY.get(name, "").split()} for name in {**DISCLOSED, **EMPTY}}
    assert found == table


def test_the_table_names_all_fields_of_the_network_that_a_tenant_may_get_and_nothing_else() -> None:
    found: dict[str, set[str]] = {}
    known: set[object] = set()
    for kind in KINDS:
        (listed, *_) = typing.get_args(Network.model_fields[kind].annotation)
        found[listed.__name__] = {*LISTED[listed]}
        for field in LISTED[listed]:
            inner = classes_in(fields_of(listed)[field], known)
            found |= {one.__name__: {*fields_of(one)} for one in inner}
    assert found == {name: {*fields.split()} for name, fields in NETWORK.items()}


@pytest.mark.parametrize(
    ("listed", "kind", "field"), [(Tenant, "tenants", "contacts"), (Agreement, "agreements", "notice_hours")]
)
def test_a_tenant_does_not_get_a_field_of_its_own_objects_that_is_not_listed(
    listed: type[BaseModel], kind: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = {"id": "noc", "name": "NOC", "email": "noc@alfa.pe"}
    base = samples.network(("alfa",)).model_dump()
    base["tenants"][0]["contacts"], base["agreements"][0]["notice_hours"] = [contact], 48
    network = Network.model_validate(base)
    before = getattr(getattr(tenant_scope("listed", network, "alfa").network, kind)[0], field)
    monkeypatch.setitem(LISTED, listed, tuple(name for name in LISTED[listed] if name != field))
    after = getattr(getattr(tenant_scope(f"not {field}", network, "alfa").network, kind)[0], field)
    assert before != after == listed.model_fields[field].get_default(call_default_factory=True)


def parts_of(kind: object) -> Iterator[object]:
    """A type, and all types within it."""
    yield kind
    for one in typing.get_args(kind):
        yield from parts_of(one)


def test_a_message_is_made_of_nothing_but_classes_that_name_their_fields() -> None:
    found = contents()
    whole = {*typing.get_args(typing.get_type_hints(Contacts.notify)["content"])}
    assert whole - {*HOST_ONLY} <= found, "each of them is a class with fields"
    for kind in found:
        open_ended = {Any, object, dict, list, tuple} & {one for of in fields_of(kind).values() for one in parts_of(of)}
        assert not open_ended, kind
        assert issubclass(kind, Noun), kind


def test_no_two_classes_of_answers_and_messages_have_the_same_name() -> None:
    names = [kind.__name__ for kind in disclosed()]
    assert len(names) == len(set(names))


def test_a_list_tells_only_how_many_there_are_and_what_is_next() -> None:
    lists = [kind for kind in disclosed() if kind.__name__.startswith("Listing[")]
    assert len(lists) > 10
    assert all({*fields_of(kind)} == {"count", "next", "results"} for kind in lists)


async def _answers_of(client: AsyncClient, run: str) -> dict[str, list[dict[str, Any]]]:
    """Answers of each class in ``EMPTY`` that somebody gets, apart from messages, votes and proofs of statements."""
    whole = (await client.get(f"/v1/approvals/{run}")).json()
    live = (await client.get("/v1/devices/T-LTE-1/config")).json()
    return {
        "PendingApproval": [whole],
        "AskedStep": whole["steps"],
        "Requirement": whole["requirements"],
        "LiveConfig": [live],
    }


async def test_what_the_host_alone_gets_is_filled_for_the_host_and_empty_for_a_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Planner.read

    async def with_unknown(planner: Planner, network: Network, device: str, *, beside: bool = False) -> Observed:
        return dataclasses.replace(await read(planner, network, device, beside=beside), unknown=("/other:node",))

    monkeypatch.setattr(Planner, "read", with_unknown)
    async with open_bench(tmp_path) as bench:
        await load_and_adopt(bench)
        admit(bench.store, "token-of-leo", "leo", Role.TENANT_APPROVER, "condor")
        made = bench.store.plans.get((await plan(bench, expect_stations=4))["id"])
        text = (Path("playbooks") / "lock-cell.yaml").read_text(encoding="utf-8")
        used = RunPlaybook(name="lock-cell", digest="d", text=text, parameters={"station": "T-LTE-1", "cell": "1"})
        interrupt = ActionClass.INTERRUPT
        constraints = RunConstraints(
            subject="s",
            requirements=(
                Requirement(side="condor", action=interrupt),
                Requirement(side="host", action=interrupt, stands_for="condor"),
            ),
            tenants=("condor",),
            groups=(StationConstraints(region="puno", timezone="America/Lima", tenants=("condor",)),),
            stations={"T-LTE-1": ("a", 0)},
            steps_about={"lock": ("condor",)},
            open_inputs=(OpenInput(file="own.yaml", step="lock", input="cells", expression="{{ andes }}", why="so"),),
        )
        jobs = [NewJob(0, "T-LTE-1")]
        asked = prepared(made, "lock-cell", Strategy(), jobs, reason="CHG-1", constraints=constraints, playbook=used)
        run = bench.store.runs.create(asked).id
        async with bench.with_token("token-of-leo") as client:
            host = await _answers_of(bench.client, run)
            own = await _answers_of(client, run)
    elsewhere = {"CalledAlarm", "GatheredPlaces", "Notice", "StatementProof", "ToldNotice", "Vote"}
    assert own.keys() == EMPTY.keys() - elsewhere
    for name, found in own.items():
        assert found, name
        for field in EMPTY[name].split():
            assert any(one[field] for one in host[name]), f"{name}.{field} of the host"
            assert not any(one[field] for one in found), f"{name}.{field} of a tenant"


def test_of_the_proof_of_a_statement_a_tenant_gets_nothing_of_the_audit_row() -> None:
    issued = IssuedStatement(
        id="sla-condor-2026-10-v1",
        kind=StatementKind.SLA,
        tenant="condor",
        month="2026-10",
        version=1,
        latest=1,
        issued=datetime(2026, 11, 1, tzinfo=UTC),
        by="ana",
        reason="",
        digests={},
    )
    proof = StatementProof(statement=issued, form=StatementForm.JSON, row=41, hash="ab", wrong="")
    seen = visible_proof(proof)
    for field in EMPTY["StatementProof"].split():
        assert getattr(proof, field), field
        assert not getattr(seen, field), field


def test_of_a_vote_a_tenant_gets_nothing_that_is_the_hosts() -> None:
    right, at = (Contract(agreement="condor-all", clause="7.2"),), datetime(2026, 12, 1, tzinfo=UTC)
    choice, role = VoteChoice.APPROVE, Role.TENANT_APPROVER
    vote = Vote(subject="s", person="leo", side="condor", role=role, choice=choice, contracts=right, at=at)
    for person in (Person(name="ana", role=Role.APPROVER), Person(name="leo", role=role, tenant="condor")):
        seen = visible_vote(person, vote)
        assert [bool(getattr(seen, field)) for field in EMPTY["Vote"].split()] == [not person.tenant] * 2
