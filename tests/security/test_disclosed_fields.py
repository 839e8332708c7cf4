"""Each field of each answer that a tenant may get: a new one gets its place here, after some thought.

Answers without a model are not here: streams of events are made of the same classes, and files have tests of their own.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator

from pydantic import BaseModel

from controller.access.roles import ROLES
from controller.api import views
from controller.api.app import api_routes
from controller.models.plan import Plan
from controller.models.run import Job
from controller.ports.store import PlanHead

#: Classes of which a tenant gets another one in their place.
HOST_ONLY = {
    Plan, PlanHead, Job, views.RunView, views.DeviceView, views.FunctionView, views.AlarmView, views.IncidentView,
    views.IncidentStory, views.IncidentReport,
}  # fmt: skip
#: Class → its fields that a tenant gets. A field that is new here is disclosed: it gets its place after some thought.
DISCLOSED: dict[str, str] = {
    "AgreementMinutes": (
        "agreement tenant availability_percent restore_hours used allowed left share burn_rate unseen "
        "unobserved reasons not_applied unproved_allowed"
    ),
    "AnnouncedWork": "id tenant nodes links begins ends by reason created cancelled",
    "AskedStep": "action consent outage",
    "AuditRow": "id at actor action object detail",
    "Call": (
        "alarm escalation side number kind duty place nth contact instead_of at next used_up attempts claimed sent "
        "acknowledged acknowledged_by"
    ),
    "CellTenant": "tenant agreements agreed configured",
    "Comment": "id about at by side to text",
    "Contract": "agreement clause",
    "DiffRow": "cell tenant what before after",
    "Duty": "name days hours severities kinds contacts repeat_minutes calls",
    "DutyNow": "duty pages tickets called repeat_minutes calls",
    "Figure": "kpi unit value low high sample cells begin end pooled why",
    "HandOver": "id side contact to since until by reason",
    "IssuedStatement": "id kind tenant month version latest issued by reason digests",
    "IssuedToken": "token secret",
    "Keys": "keys",
    "Kpi": "name title category description formula source unit better statistic minimum tolerance levels watched",
    "KpiSeries": "kpi level tenant begin end seconds count next results",
    "LinkHealth": "path tenant kind state missing fault locked tunnel since",
    "LiveConfig": "station tree state",
    "Loss": "since cells",
    "Me": "name role side permissions",
    "NetworkSummary": "id name digest counts",
    "Notice": "id run incident tenant kind at stations begins text sent cells since what severity doing outage",
    "NoticeOutage": "kind seconds begins ends",
    "OpenInput": "file step input expression why stations",
    "Outage": "kind seconds",
    "PendingApproval": "run created procedure stations steps requirements votes parts",
    "Point": "begin value sample",
    "PublishedHead": "size issued note",
    "Requirement": (
        "side action consent needed approvers clauses sign_in lead_hours agreement stations outage withdrawn"
    ),
    "Schedule": "side description on_call",
    "Series": "of figure points",
    "SharedCellView": "station cell rat band primary_plmn tenants",
    "ShiftReport": "network side timezone begin end local sheets",
    "ShiftSheet": "title columns rows more",
    "SideOnCall": "side at now hand_overs schedule warnings",
    "StatementProof": "statement form row hash wrong",
    "StationPart": "station diff outage",
    "TenantAlarm": (
        "id station object object_class tenant cells probable_cause severity text source state raised changed "
        "cleared until announced"
    ),
    "TenantChange": "station diff interrupts outage removes withdrawn",
    "TenantFunction": (
        "function kind package version replicas applied_replicas stations carries endpoints running placed wrong seen"
    ),
    "TenantHealth": "at reachable cells locked links",
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
    "Vote": "person side role choice reason at token maker issuer gone",
    "Withdrawal": "cells people",
}
#: Class → its fields that the host alone gets: a tenant finds them empty.
EMPTY: dict[str, str] = {
    "PendingApproval": "parameters open_inputs requested_by reason",
    "Vote": "subject contracts",
    "AskedStep": "name",
    "LiveConfig": "unknown",
    "Requirement": "stands_for",
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


def classes_in(kind: object, known: set[object]) -> Iterator[type]:
    """Classes of answers in a type, with those in their fields."""
    if kind in HOST_ONLY or kind in known:
        return
    known.add(kind)
    found = fields_of(kind)
    if isinstance(kind, type) and found:
        yield kind
    for inner in (*typing.get_args(kind), *found.values()):
        yield from classes_in(inner, known)


def answers() -> set[type]:
    """Classes of all answers of routes that somebody of a tenant may call."""
    may = {permission for role, permissions in ROLES.items() if role.of_tenant for permission in permissions}
    known: set[object] = set()
    return {
        found for route in api_routes() if route.permission in may for found in classes_in(route.response_model, known)
    }


def test_the_table_names_all_fields_that_a_tenant_may_get_and_nothing_else() -> None:
    found = {kind.__name__: {*fields_of(kind)} for kind in answers() if not kind.__name__.startswith("Listing[")}
    table = {name: {*DISCLOSED.get(name, "").split(), *EMPTY.get(name, "").split()} for name in {**DISCLOSED, **EMPTY}}
    assert found == table


def test_no_two_classes_of_answers_have_the_same_name() -> None:
    names = [kind.__name__ for kind in answers()]
    assert len(names) == len(set(names))


def test_a_list_tells_only_how_many_there_are_and_what_is_next() -> None:
    lists = [kind for kind in answers() if kind.__name__.startswith("Listing[")]
    assert len(lists) > 10
    assert all({*fields_of(kind)} == {"count", "next", "results"} for kind in lists)
