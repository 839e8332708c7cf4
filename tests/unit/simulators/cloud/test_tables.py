"""Built-in kinds as rows: the columns and cells of a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.clock import VirtualClock
from simulators.cloud.language.kinds import BUILT_IN, Kind
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.tables import columns_of
from tests.unit.simulators.cloud.test_server import Client, admin, clock, cluster, pod

Json = dict[str, Any]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
__all__ = ["admin", "clock", "cluster"]

_POD = {"containers": [{"name": "du", "image": "i:1"}, {"name": "log", "image": "l:2"}]}


@pytest.mark.parametrize(
    ("kind", "obj", "row"),
    [
        (
            "deployments.apps",
            {
                "spec": {"replicas": 3, "selector": {"matchLabels": {"nf": "du"}}, "template": {"spec": _POD}},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
            },
            {
                "Name": "x",
                "Ready": "2/3",
                "Up-to-date": 3,
                "Available": 1,
                "Age": "0s",
                "Containers": "du,log",
                "Images": "i:1,l:2",
                "Selector": "nf=du",
            },
        ),
        (
            "poddisruptionbudgets.policy",
            {"spec": {"minAvailable": 1}, "status": {"disruptionsAllowed": 2}},
            {"Name": "x", "Min Available": 1, "Max Unavailable": "N/A", "Allowed Disruptions": 2, "Age": "0s"},
        ),
        (
            "rolebindings.rbac.authorization.k8s.io",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "ana"},
                    {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
                ],
            },
            {
                "Name": "x",
                "Role": "Role/r",
                "Age": "0s",
                "Users": "ana",
                "Groups": "",
                "ServiceAccounts": "n/s",
            },
        ),
        (
            "resourcequotas",
            {"status": {"hard": {"cpu": "4", "limits.cpu": "8"}, "used": {"cpu": "1"}}},
            {"Name": "x", "Request": "cpu: 1/4", "Limit": "limits.cpu: 0/8", "Age": "0s"},
        ),
        (
            "cronjobs.batch",  # a kind that nothing here runs
            {"spec": {"schedule": "* * * * *"}},
            {"Name": "x", "Age": "0s"},
        ),
    ],
)  # fmt: skip
def test_row(clock: VirtualClock, kind: str, obj: Json, row: Json) -> None:
    (found, *_) = [one for one in BUILT_IN if one.id == kind]
    at = f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"
    whole = {**obj, "metadata": {"name": "x", "creationTimestamp": at, **obj.get("metadata", {})}}
    assert {column.name: column.cell(whole, clock.now()) for column in columns_of(found)} == row


@pytest.mark.parametrize("kind", [one for one in BUILT_IN if one.schema.preserves], ids=lambda kind: str(kind.id))
def test_what_is_kept_as_it_is_given_has_a_row_with_nothing_in_it(kind: Kind, clock: VirtualClock) -> None:
    columns = columns_of(kind)
    assert columns[0].name == "Name"
    cells = [column.cell({"metadata": {"name": "x"}}, clock.now()) for column in columns]
    assert cells[0] == "x"


def test_a_pod_that_was_started_again_says_when(cluster: Cluster, admin: Client, clock: VirtualClock) -> None:
    made = cluster.edited(cluster.create("pods", pod("a")))
    ended = {"exitCode": 1, "finishedAt": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}"}
    state = {"name": "c", "restartCount": 2, "ready": True, "lastState": {"terminated": ended}}
    made["status"]["containerStatuses"] = [{**state, "image": "i", "imageID": "", "state": {"running": {}}}]
    cluster.update_status("pods", made)
    clock.advance(65.0)
    _, table = admin.ask("GET", "/api/v1/namespaces/default/pods", None, accept=TABLE)
    names = [column["name"] for column in table["columnDefinitions"]]
    assert table["rows"][0]["cells"][names.index("Restarts")] == "2 (65s ago)"
