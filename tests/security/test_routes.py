"""Every route for every caller: who may is let in, who may not learns nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest

from controller.access.roles import ROLES
from controller.api import guard
from controller.api.app import PARTS, api_routes, make_app
from controller.api.auth import OPEN, Router, needs
from controller.api.pages import PATHS
from controller.api.problems import VES
from controller.api.services import services
from controller.api.views import view
from controller.models.people import Permission, Person, Role
from controller.store import Page
from controller.store.audit.audit import EACH
from tests.security.app_requests import Answer, ask
from tests.support.callers import admit
from tests.unit.api.bench import ApiBench, open_bench

#: Operation → the permission it needs, None for an open one. A new route gets its line here, after some thought.
NEEDED: dict[str, str | None] = {
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /metrics": "metrics",
    "GET /v1/login": None,
    "GET /v1/login/callback": None,
    "GET /v1/login/device": None,
    "DELETE /v1/login": None,
    "PUT /v1/network": "network",
    "GET /v1/network": "read",
    "POST /v1/network/import": "network",
    "GET /v1/network/sharing": "read",
    "GET /v1/network/{kind}": "read",
    "POST /v1/plans": "plan",
    "GET /v1/plans": "read",
    "GET /v1/plans/{plan_id}": "read",
    "GET /v1/plans/{plan_id}/compare/{other_id}": "oversee",
    "GET /v1/playbooks": "oversee",
    "GET /v1/playbooks/{name}": "oversee",
    "POST /v1/playbooks/{name}/dry-run": "plan",
    "POST /v1/playbooks/{name}/runs": "run",
    "POST /v1/runs": "run",
    "GET /v1/runs": "read",
    "GET /v1/runs/{run_id}": "read",
    "GET /v1/runs/{run_id}/jobs": "read",
    "GET /v1/runs/{run_id}/steps/{station}": "oversee",
    "POST /v1/runs/{run_id}/cancel": "run",
    "POST /v1/runs/{run_id}/pause": "run",
    "POST /v1/runs/{run_id}/resume": "run",
    "GET /v1/runs/{run_id}/decisions": "oversee",
    "POST /v1/runs/{run_id}/undo": "plan",
    "GET /v1/runs/{run_id}/events": "read",
    "GET /v1/runs/{run_id}/outlook": "oversee",
    "POST /v1/runs/{run_id}/approve": "approve",
    "POST /v1/runs/{run_id}/reject": "approve",
    "POST /v1/runs/{run_id}/override": "override",
    "GET /v1/plans/{plan_id}/outlook": "oversee",
    "POST /v1/plans/{plan_id}/approve": "approve",
    "POST /v1/plans/{plan_id}/reject": "approve",
    "GET /v1/questions": "oversee",
    "POST /v1/questions": "run",
    "GET /v1/approvals": "approve",
    "GET /v1/approvals/{run_id}": "approve",
    "GET /v1/notices": "read",
    "GET /v1/freezes": "oversee",
    "POST /v1/freezes": "stop",
    "DELETE /v1/freezes/{freeze_id}": "override",
    "PUT /v1/warnings/{warning}": "warn",
    "DELETE /v1/warnings/{warning}": "warn",
    "GET /v1/incidents": "read",
    "GET /v1/incidents/events": "read",
    "GET /v1/incidents/{incident_id}": "read",
    "POST /v1/incidents/{incident_id}/acknowledge": "run",
    "POST /v1/incidents/{incident_id}/take": "run",
    "POST /v1/incidents/{incident_id}/hand-back": "run",
    "POST /v1/incidents/{incident_id}/comments": "comment",
    "GET /v1/kpis": "read",
    "GET /v1/kpis/{kpi}": "read",
    "GET /v1/measurements/stations": "oversee",
    "GET /v1/measurements/stations/{station}": "oversee",
    "GET /v1/measurements/silences": "oversee",
    "GET /v1/measurements/counters": "oversee",
    "GET /v1/measurements/unknown-counters": "oversee",
    "GET /v1/evidence/extension": "read",
    "GET /v1/evidence/heads": "read",
    "GET /v1/evidence/keys": "read",
    "GET /v1/statements": "read",
    "GET /v1/statements/proofs/{digest}": "read",
    "GET /v1/statements/{kind}/{tenant}/{month}": "read",
    "GET /v1/statements/{kind}/{tenant}/{month}/draft": "read",
    "GET /v1/statements/{kind}/{tenant}/{month}/note": "read",
    "GET /v1/shift-report": "read",
    "POST /v1/statements/taken-back": "run",
    "POST /v1/statements/{kind}/{tenant}/{month}": "run",
    "GET /v1/oncall": "read",
    "GET /v1/oncall/calls": "read",
    "POST /v1/oncall/calls/{about}/acknowledge": "on-call",
    "POST /v1/oncall/hand-overs": "on-call",
    "DELETE /v1/oncall/hand-overs/{hand_over_id}": "on-call",
    "GET /v1/works": "read",
    "POST /v1/works": "announce",
    "DELETE /v1/works/{work_id}": "announce",
    "GET /v1/devices": "read",
    "POST /v1/devices/adopt": "run",
    "POST /v1/devices/drift": "plan",
    "GET /v1/devices/{station}": "read",
    "GET /v1/devices/{station}/config": "read",
    "GET /v1/functions": "read",
    "GET /v1/functions/{function}": "read",
    "GET /v1/pools": "oversee",
    "GET /v1/pools/{pool}": "oversee",
    "GET /v1/placement": "oversee",
    "GET /v1/alarms": "read",
    "GET /v1/alarms/events": "read",
    "GET /v1/alarms/{alarm_id}": "read",
    "GET /v1/alarms/{alarm_id}/reports": "oversee",
    "POST /v1/alarms/{alarm_id}/acknowledge": "run",
    "GET /v1/alarms/{alarm_id}/dispatch": "oversee",
    "GET /v1/incidents/{incident_id}/dispatch": "oversee",
    "GET /v1/incidents/{incident_id}/report": "read",
    "POST /v1/alarms/{alarm_id}/clear": "run",
    "POST /v1/alarms/{alarm_id}/shelve": "stop",
    "POST /v1/alarms/{alarm_id}/unshelve": "stop",
    "GET /v1/alarms/{alarm_id}/comments": "read",
    "POST /v1/alarms/{alarm_id}/comments": "comment",
    "GET /v1/definitions": "oversee",
    "PUT /v1/definitions": "network",
    "GET /v1/rules": "oversee",
    "GET /v1/rules/{name}": "oversee",
    "PUT /v1/rules/{name}/mode": "promote",
    "POST /v1/rules/backtest": "oversee",
    "GET /v1/remediation": "oversee",
    "PUT /v1/remediation": "stop",
    "GET /v1/remediation/proposals": "oversee",
    "POST /v1/remediation/proposals/{proposal_id}/approve": "run",
    "POST /v1/remediation/proposals/{proposal_id}/deny": "run",
    "POST /v1/webhooks/alertmanager": "webhook",
    "POST /eventListener/v7": "webhook",
    "POST /eventListener/v7/eventBatch": "webhook",
    "GET /v1/holds": "oversee",
    "POST /v1/holds": "stop",
    "DELETE /v1/holds/{hold_id}": "stop",
    "GET /v1/me": "read",
    "GET /v1/users": "people",
    "POST /v1/users": "people",
    "PUT /v1/users/{name}": "people",
    "GET /v1/tokens": "tokens",
    "POST /v1/tokens": "tokens",
    "POST /v1/tokens/{token_id}/rotate": "tokens",
    "DELETE /v1/tokens/{token_id}": "tokens",
    "GET /v1/audit": "read",
    "GET /v1/record": "oversee",
    "POST /v1/record/decision": "override",
    "GET /v1/audit/verify": "oversee",
    "POST /v1/audit/anchors": "oversee",
}
OPERATIONS = [
    (method, route.path, route.permission) for route in api_routes() for method in sorted(route.methods or ())
]
#: Everybody who may call, by the token they use.
CALLERS: dict[str, Person] = {
    **{f"token-of-{role}": Person(name=role, role=role, tenant="bitel" if role.of_tenant else "") for role in Role},
    "token-of-an-alert": Person(name="noc", role=Role.NOC_ENGINEER, scopes=(Permission.WEBHOOK,)),
    "token-of-a-warning": Person(name="noc", role=Role.NOC_ENGINEER, scopes=(Permission.WARN,)),
    "token-of-nothing": Person(name="noc", role=Role.NOC_ENGINEER, scopes=()),
}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        for token, person in CALLERS.items():
            admit(made.store, token, person.name, person.role, person.tenant, person.scopes)
        yield made


async def call(bench: ApiBench, method: str, path: str, token: str, body: bytes = b"{not json") -> Answer:
    """Ask for something that is not there, in words that nobody understands."""
    return await ask(bench.app, method, path.replace("{", "").replace("}", ""), token, body=body)


def test_the_table_names_all_routes_and_nothing_else() -> None:
    assert {f"{method} {path}": permission for method, path, permission in OPERATIONS} == NEEDED
    assert len(OPERATIONS) == len(NEEDED)


def test_nothing_is_served_beside_the_routes_but_the_description() -> None:
    served = {getattr(route, "path", None) for route in make_app().routes} - {None}
    assert served == guard.OPEN - {path for _, path, permission in OPERATIONS if permission is None}
    assert served == {"/openapi.json", *PATHS}


@pytest.mark.parametrize("token", CALLERS)
async def test_each_caller_gets_what_the_role_gives(bench: ApiBench, token: str) -> None:
    person = CALLERS[token]
    allowed = ROLES[person.role] if person.scopes is None else set(person.scopes)
    refused = []
    for method, path, permission in OPERATIONS:
        answer = await call(bench, method, path, token)
        if permission is None or permission in allowed:
            assert answer.status not in (401, 403), (method, path)
            assert answer.problem.get("detail") != "Not Found", (method, path)
        else:
            # VES has one refusal for who may not report events and who has no name here.
            forbidden = 401 if path.startswith(VES) else 403
            assert answer.status == (404 if person.tenant else forbidden), (method, path)
            refused.append((f"{method} {path.replace('{', '').replace('}', '')}", {"permission": permission.value}))
            if person.tenant:
                elsewhere = f"{VES}nothing" if path.startswith(VES) else "/v1/nothing"
                assert answer == await call(bench, method, elsewhere, token)
    kept = [row for row in bench.store.audit.page(Page(limit=1000))[1] if row.action == "access.denied"]
    told = [(row.object, row.detail) for row in reversed(kept) if row.actor == person.name]
    # Of many the first are on record, and the others summed up later.
    refused = [one for at, one in enumerate(refused) if [about for _, about in refused[:at]].count(one[1]) < EACH]
    assert [one for one in told if one in refused] == refused
    assert person.tenant or told == refused


@pytest.mark.parametrize("token", ["", "token-of-nobody"])
async def test_who_has_no_token_gets_nothing(bench: ApiBench, token: str) -> None:
    for method, path, permission in OPERATIONS:
        answer = await call(bench, method, path, token)
        assert (answer.status == 401) == (permission is not None), (method, path)


async def test_a_refusal_reads_no_body(bench: ApiBench) -> None:
    answer = await call(bench, "PUT", "/v1/network", "token-of-host-viewer", b"{" * 1000)
    lacks = "this needs the permission network, which the token of host-viewer lacks, since its role is host-viewer"
    way = "an administrator can give you such a role: minka user role host-viewer administrator"
    assert answer.problem["detail"] == f"{lacks}: the permission is of administrator; {way}"


def test_a_route_without_a_permission_cannot_be_made() -> None:
    router = Router(prefix="/v1/things")
    with pytest.raises(TypeError, match=r"things.*declares 0"):
        router.get("")(lambda: None)

    def twice(_: Annotated[Person, needs(Permission.READ)], __: Annotated[Person, needs(Permission.RUN)]) -> None:
        """Nothing."""

    with pytest.raises(TypeError, match="declares 2"):
        router.get("/twice")(twice)
    router.get("/open", dependencies=[OPEN])(lambda: None)


def test_what_tenants_may_look_at_has_no_way_to_the_whole_record() -> None:
    for route in api_routes():
        if route.permission is Permission.READ:
            calls = {one.call for one in route.dependant.dependencies}
            assert services not in calls, route.path
            assert view in calls or route.path == "/v1/me", route.path


def test_a_router_that_asks_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi import APIRouter

    router = APIRouter()
    router.get("/v1/backdoor")(lambda: None)
    monkeypatch.setattr(PARTS[0], "router", router)
    with pytest.raises(TypeError, match=PARTS[0].__name__):
        make_app()


def test_roles_of_a_tenant_hold_nothing_of_the_hosts() -> None:
    for role in Role:
        if role.of_tenant:
            assert ROLES[role] <= {
                Permission.READ,
                Permission.APPROVE,
                Permission.TOKENS,
                Permission.METRICS,
                Permission.ANNOUNCE,
                Permission.COMMENT,
                Permission.ON_CALL,
            }
        with pytest.raises(ValueError, match="tenant"):
            Person(name="ana", role=role, tenant="" if role.of_tenant else "bitel")
    assert ROLES[Role.ADMINISTRATOR] == set(Permission)
