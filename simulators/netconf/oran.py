"""Operations beyond RFC 6241: software, restarts, supervision (O-RAN) and repairs (minka-equipment)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lxml import etree

from simulators.elements import leaf, root, timestamp
from simulators.equipment.equipment import Equipment
from simulators.equipment.software import SOFTWARE_NS
from simulators.equipment.supervision import SUPERVISION_NS
from simulators.equipment.units import EQUIPMENT_NS, OPERATIONS_NS
from simulators.netconf.messages import number, text
from simulators.netconf.parameters import check_once, missing

#: Default seconds of the supervision interval and of the guard beyond it.
INTERVAL, GUARD = 60, 10
#: Seconds that a manager should wait for the event of an operation.
NOTIFICATION_TIMEOUT = 60
#: The parameter that may be repeated.
_FILES = f"{{{SOFTWARE_NS}}}file-names"


def _text(operation: etree._Element, name: str) -> str:
    """A mandatory parameter.

    Raises:
        RpcError: missing-element.
    """
    found = text(operation, name)
    if not found:
        raise missing(name)
    return found


def _seconds(operation: etree._Element, name: str, default: int) -> int:
    found = number(operation, name, 0, 65535)
    return default if found is None else found


def _acknowledged(refusal: str, *, timeout: bool) -> list[etree._Element]:
    """The output of an operation whose outcome comes as an event."""
    holder = root(SOFTWARE_NS, "output")
    leaf(holder, "status", "FAILED" if refusal else "STARTED")
    if refusal:
        leaf(holder, "error-message", refusal)
    elif timeout:
        leaf(holder, "notification-timeout", str(NOTIFICATION_TIMEOUT))
    return list(holder)


def _download(equipment: Equipment, operation: etree._Element) -> Iterable[etree._Element]:
    return _acknowledged(equipment.software.download(_text(operation, "remote-file-path")), timeout=True)


def _install(equipment: Equipment, operation: etree._Element) -> Iterable[etree._Element]:
    files = [element.text or "" for element in operation.iterchildren(_FILES)]
    return _acknowledged(equipment.software.install(_text(operation, "slot-name"), files), timeout=False)


def _activate(equipment: Equipment, operation: etree._Element) -> Iterable[etree._Element]:
    return _acknowledged(equipment.software.activate(_text(operation, "slot-name")), timeout=True)


def _watchdog(equipment: Equipment, operation: etree._Element) -> Iterable[etree._Element]:
    interval = _seconds(operation, "supervision-notification-interval", INTERVAL)
    guard = _seconds(operation, "guard-timer-overhead", GUARD)
    holder = root(SUPERVISION_NS, "output")
    leaf(holder, "next-update-at", timestamp(equipment.supervision.reset(interval, guard)))
    return list(holder)


_OPERATIONS: dict[str, Callable[[Equipment, etree._Element], Iterable[etree._Element] | None]] = {
    f"{{{SOFTWARE_NS}}}software-download": _download,
    f"{{{SOFTWARE_NS}}}software-install": _install,
    f"{{{SOFTWARE_NS}}}software-activate": _activate,
    f"{{{OPERATIONS_NS}}}reset": lambda equipment, _operation: equipment.reset_later(),
    f"{{{SUPERVISION_NS}}}supervision-watchdog-reset": _watchdog,
    f"{{{EQUIPMENT_NS}}}reset-unit": lambda equipment, operation: equipment.reset_unit(_text(operation, "name")),
    f"{{{EQUIPMENT_NS}}}reload-licence": lambda equipment, _operation: equipment.reload_licence(),
}

#: Tags of these operations.
OPERATIONS = frozenset(_OPERATIONS)


def perform(equipment: Equipment, operation: etree._Element) -> Iterable[etree._Element] | None:
    """Carry out one of these operations.

    Raises:
        RpcError: it was refused.
    """
    check_once(operation, _FILES)
    return _OPERATIONS[operation.tag](equipment, operation)
