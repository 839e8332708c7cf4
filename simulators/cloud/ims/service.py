"""The O2 IMS of a pool (O-RAN.WG6.O2IMS-INTERFACE): inventory and alarms, on the address of its Kubernetes API.

Inventory: an O-Cloud with one deployment manager (its Kubernetes API), one resource pool, and a resource for each node.
Monitoring: an alarm for each fault of a node, until that has ended. Nothing can be changed or subscribed to. Long lists
come in pages (ETSI GS NFV-SOL 013).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from simulators.cloud.behaviour.faults import DISK_PRESSURE, NODE_LOST, POWER_SUPPLY_FAILED, PTP_LOST, PoolFault
from simulators.cloud.behaviour.pool import Pool
from simulators.cloud.server.answers import Response, document
from simulators.cloud.server.requests import Request

#: Prefix of all paths.
PREFIX = "/o2ims-infrastructure"
_INVENTORY, _MONITORING = f"{PREFIX}Inventory/v1", f"{PREFIX}Monitoring/v1"
_MARKER = "nextpage_opaque_marker"
#: Name, severity (0 critical, 1 major, 2 minor, 3 warning) and words of the alarm of a fault.
_ALARMS = {
    NODE_LOST: ("ServerUnreachable", 0, "the management controller of the server does not answer"),
    POWER_SUPPLY_FAILED: ("PowerSupplyFailed", 1, "one of two power supplies has failed"),
    PTP_LOST: ("NodeClockNotSynchronising", 1, "the clock does not follow its PTP grandmaster"),
    DISK_PRESSURE: ("DiskNearlyFull", 3, "the disk is nearly full"),
}


class Ims:
    """The O2 IMS of one pool; ``page`` is the number of elements on a page."""

    def __init__(self, pool: Pool, page: int = 100) -> None:
        self._pool = pool
        self._page = page

    def answer(self, request: Request) -> Response:
        """Answer a request of an authorized reader."""
        if request.method not in ("GET", "HEAD"):
            return _problem(405, "only reading is served")
        path = request.path.rstrip("/")
        found = self._found(path)
        if found is None:
            return _problem(404, f"there is nothing at {request.path}")
        return self._paged(found, path, request.asks(_MARKER)) if isinstance(found, list) else document(found)

    def _paged(self, found: list[Any], path: str, marker: str) -> Response:
        """A page of a list, with the address of the next one. The marker is opaque to clients: where it begins."""
        if not marker.isdigit() and marker:
            return _problem(400, f"{_MARKER}: {marker} is of no answer")
        begin = int(marker or 0)
        end = begin + self._page
        at = f"https://{self._pool.record.address}:{self._pool.record.port}{path}"
        more = [("Link", f'<{at}?{_MARKER}={end}>; rel="next"')] if found[end:] else []
        return document(found[begin:end], headers=more)

    def _found(self, path: str) -> Any:
        cloud, pool = self._id("cloud"), self._id("pool")
        lists: dict[str, tuple[str, list[dict[str, Any]]]] = {
            f"{_INVENTORY}/deploymentManagers": ("deploymentManagerId", [self._manager(cloud)]),
            f"{_INVENTORY}/resourceTypes": ("resourceTypeId", [self._type()]),
            f"{_INVENTORY}/resourcePools": ("resourcePoolId", [self._resource_pool(pool)]),
            f"{_INVENTORY}/resourcePools/{pool}/resources": ("resourceId", self._resources(pool)),
            f"{_MONITORING}/alarms": ("alarmEventRecordId", self._alarms()),
        }
        if path == _INVENTORY:
            name = self._pool.id
            ids = {"oCloudId": cloud, "globalCloudId": cloud}
            return {**ids, "name": name, "description": name, "serviceUri": "/", "extensions": {}}
        if path in lists:
            return lists[path][1]
        above, _, key = path.rpartition("/")
        name, among = lists.get(above, ("", []))
        return next((one for one in among if one[name] == key), None)

    # --------------------------------------------------------------- inventory

    def _manager(self, cloud: str) -> dict[str, Any]:
        return {
            "deploymentManagerId": self._id("manager"),
            "name": self._pool.id,
            "description": f"Kubernetes API of {self._pool.id}",
            "oCloudId": cloud,
            "serviceUri": f"https://{self._pool.record.address}:{self._pool.record.port}",
            "supportedLocations": [self._pool.record.region],
            "capabilities": {},
            "capacity": {},
            "extensions": {},
        }

    def _type(self) -> dict[str, Any]:
        return {
            "resourceTypeId": self._id("server"),
            "name": "server",
            "description": "a server",
            "vendor": "Minka",
            "model": "simulated",
            "version": "1",
            "resourceKind": "PHYSICAL",
            "resourceClass": "COMPUTE",
            "extensions": {},
        }

    def _resource_pool(self, pool: str) -> dict[str, Any]:
        name = self._pool.id
        return {"resourcePoolId": pool, "name": name, "oCloudSiteId": self._id("site"), "description": name}

    def _resources(self, pool: str) -> list[dict[str, Any]]:
        return [
            {
                "resourceId": self._id(f"node/{node.id}"),
                "resourcePoolId": pool,
                "resourceTypeId": self._id("server"),
                "globalAssetId": f"{self._pool.id}-{node.id}",
                "description": node.id,
                "elements": [],
                "tags": [],
                "groups": [],
                "extensions": {},
            }
            for node in self._pool.record.nodes
        ]

    # -------------------------------------------------------------- monitoring

    def _alarms(self) -> list[dict[str, Any]]:
        return [self._alarm(fault) for fault in self._pool.faults if fault.kind.name in _ALARMS]

    def _alarm(self, fault: PoolFault) -> dict[str, Any]:
        name, severity, words = _ALARMS[fault.kind.name]
        clock = self._pool.clock
        raised = clock.now() - timedelta(seconds=clock.monotonic() - fault.since)
        stamp = raised.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "alarmEventRecordId": self._id(f"alarm/{fault.id}"),
            "resourceTypeID": self._id("server"),
            "resourceID": self._id(f"node/{fault.target}"),
            "alarmDefinitionId": self._id(f"definition/{name}"),
            "probableCauseId": self._id(f"cause/{name}"),
            "alarmRaisedTime": stamp,
            "alarmChangedTime": stamp,
            "alarmAcknowledged": False,
            "perceivedSeverity": severity,
            "extensions": {"alertname": name, "summary": words},
        }

    def _id(self, what: str) -> str:
        """A stable id, derived from a name."""
        return str(uuid5(NAMESPACE_URL, f"{self._pool.id}/{what}"))


def _problem(status: int, detail: str) -> Response:
    """An error (RFC 7807)."""
    body = document({"status": status, "detail": detail}, status)
    return Response(status, body.body, "application/problem+json")
