"""Standing alarms of a pool's servers from its O2 IMS, by node (O-RAN.WG6.O2IMS-INTERFACE).

The interface leaves open how a server is named. A resource is a node if its ``description``, its ``globalAssetId`` or a
value of its ``extensions`` is the node's name. An alarm is about the node of its resource, or the node that a value of
its own ``extensions`` names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from controller.drivers.kubernetes.api import PoolApi, Room
from controller.drivers.kubernetes.codec import Object
from controller.models.cloud import HardwareAlarm
from controller.models.errors import DeviceRefusedError
from controller.models.untrusted import visible

_INVENTORY = "/o2ims-infrastructureInventory/v1/resourcePools"
_ALARMS = "/o2ims-infrastructureMonitoring/v1/alarms"
#: Values of ``perceivedSeverity``.
_SEVERITIES = ("CRITICAL", "MAJOR", "MINOR", "WARNING", "INDETERMINATE", "CLEARED")
#: Extensions with the subject of an alarm, if a vendor fills them.
_WORDS = ("alertname", "summary", "description")
#: Most alarms of a pool, and characters of each.
_MOST, _LONGEST = 200, 300
#: Most resource pools of an O-Cloud: each is asked for its resources.
_MOST_POOLS = 100


async def hardware_alarms(api: PoolApi, nodes: Collection[str]) -> tuple[HardwareAlarm, ...]:
    """Standing alarms, the worst first, of an O2 IMS that tells all of them in time.

    Args:
        api: The O2 IMS.
        nodes: Names of the pool's nodes. An O-Cloud may also have servers of other pools: alarms of their resources
            are left out.

    Raises:
        DeviceError: It does not answer, refuses, takes too long, or names more than any O-Cloud has.
    """
    return await api.in_time(_standing(api, nodes), "its alarms")


async def _standing(api: PoolApi, nodes: Collection[str]) -> tuple[HardwareAlarm, ...]:
    room = Room()
    records = [_lower(one) for one in await api.items(_ALARMS, room)]
    standing = [one for one in records if _severity(one) != "CLEARED" and not one.get("alarmclearedtime")]
    if not standing:
        return ()
    of_resource: dict[str, str] = {}
    pools = await api.items(_INVENTORY, room)
    if len(pools) > _MOST_POOLS:
        raise DeviceRefusedError(f"{api.target.device}: its O2 IMS names more than {_MOST_POOLS} resource pools")
    for pool in pools:
        name = quote(str(pool.get("resourcePoolId"))[:_LONGEST], safe="")
        for resource in await api.items(f"{_INVENTORY}/{name}/resources", room):
            of_resource |= dict(_nodes(_lower(resource), nodes))
    found = []
    for one in standing:
        extensions = one.get("extensions")
        named = next((name for name in _values(extensions) if name in nodes), "")
        node = named or of_resource.get(str(one.get("resourceid", "")), "")
        if node:
            found.append(HardwareAlarm(node=node, severity=_severity(one), text=_text(one, extensions)))
    return tuple(sorted(found, key=lambda one: (_SEVERITIES.index(one.severity), one.node, one.text))[:_MOST])


def _lower(one: Object) -> dict[str, Any]:
    """Keys in lower case, since releases of the interface differ (``resourceID``, ``resourceId``)."""
    return {name.lower(): value for name, value in one.items()}


def _severity(one: Mapping[str, Any]) -> str:
    value = one.get("perceivedseverity")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(_SEVERITIES):
        return "INDETERMINATE"
    return _SEVERITIES[value]


def _nodes(resource: Mapping[str, Any], nodes: Collection[str]) -> Iterator[tuple[str, str]]:
    """The node of a resource, by its id and those of its parts, which belong to the same server."""
    names = (resource.get("description"), resource.get("globalassetid"), *_values(resource.get("extensions")))
    node = next((str(name) for name in names if isinstance(name, str) and name in nodes), "")
    if node:
        yield str(resource.get("resourceid", "")), node
        parts = resource.get("elements")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                yield str(_lower(part).get("resourceid", "")), node


def _values(extensions: object) -> list[str]:
    return [one for one in extensions.values() if isinstance(one, str)] if isinstance(extensions, dict) else []


def _text(one: Mapping[str, Any], extensions: object) -> str:
    known = extensions if isinstance(extensions, dict) else {}
    words = [str(known[name]) for name in _WORDS if known.get(name)]
    return visible(": ".join(words) or f"alarm definition {one.get('alarmdefinitionid')}")[:_LONGEST]
