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

_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
_BYTES = {"type": "Pods", "pods": {"metric": {"name": "b"}, "target": {"type": "AverageValue", "averageValue": "1k"}}}
_NOW_CPU = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 35}}}
_ADDRESSES = [{"addresses": [f"10.0.0.{last}"]} for last in range(1, 6)]


@pytest.mark.parametrize(
    ("kind", "obj", "row"),
    [
        (
            "horizontalpodautoscalers.autoscaling",
            {
                "spec": {"scaleTargetRef": _TARGET, "maxReplicas": 5, "minReplicas": 2, "metrics": [_CPU, _BYTES] * 2},
                "status": {"currentReplicas": 3, "currentMetrics": [_NOW_CPU]},
            },
            {
                "Name": "x",
                "Reference": "Deployment/web",
                "Targets": "cpu: 35%/80%, <unknown>/1k + 2 more...",
                "MinPods": "2",
                "MaxPods": 5,
                "Replicas": 3,
                "Age": "0s",
            },
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            {"spec": {"scaleTargetRef": _TARGET, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}},
            {
                "Name": "x",
                "Reference": "Deployment/web",
                "Targets": "cpu: <unknown>/50%",
                "MinPods": "<unset>",
                "MaxPods": 5,
                "Replicas": 0,
                "Age": "0s",
            },
        ),
        (
            "certificatesigningrequests.certificates.k8s.io",
            {
                "spec": {"signerName": "example.com/client", "username": "ana", "expirationSeconds": 86400},
                "status": {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "LS0t"},
            },
            {
                "Name": "x",
                "Age": "0s",
                "SignerName": "example.com/client",
                "Requestor": "ana",
                "RequestedDuration": "24h",
                "Condition": "Approved,Issued",
            },
        ),
        (
            "certificatesigningrequests.certificates.k8s.io",
            {"spec": {"signerName": "a/b"}},
            {
                "Name": "x",
                "Age": "0s",
                "SignerName": "a/b",
                "Requestor": "",
                "RequestedDuration": "<none>",
                "Condition": "Pending",
            },
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"addressType": "IPv4", "ports": [{"port": 80}, {"port": 443}], "endpoints": _ADDRESSES},
            {
                "Name": "x",
                "AddressType": "IPv4",
                "Ports": "80,443",
                "Endpoints": "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
                "Age": "0s",
            },
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"addressType": "IPv4"},
            {"Name": "x", "AddressType": "IPv4", "Ports": "<unset>", "Endpoints": "<unset>", "Age": "0s"},
        ),
        (
            "endpoints",
            {"subsets": [{"addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}], "ports": [{"port": 80}]}]},
            {"Name": "x", "Endpoints": "10.0.0.1:80,10.0.0.2:80", "Age": "0s"},
        ),
        (
            "ingressclasses.networking.k8s.io",
            {"spec": {"controller": "x/y", "parameters": {"apiGroup": "k.example", "kind": "Params", "name": "p"}}},
            {"Name": "x", "Controller": "x/y", "Parameters": "Params.k.example/p", "Age": "0s"},
        ),
        (
            "apiservices.apiregistration.k8s.io",
            {
                "spec": {"service": {"namespace": "n", "name": "s"}},
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]},
            },
            {"Name": "x", "Service": "n/s", "Available": "False (MissingEndpoints)", "Age": "0s"},
        ),
        (
            "controllerrevisions.apps",
            {"revision": 4, "metadata": {"ownerReferences": [{**_TARGET, "controller": True}]}},
            {"Name": "x", "Controller": "deployment.apps/web", "Revision": 4, "Age": "0s"},
        ),
        (
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            {"webhooks": [{}, {}]},
            {"Name": "x", "Webhooks": 2, "Age": "0s"},
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
