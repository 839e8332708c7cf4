"""Equipment and software of a fake station: operations take effect at once, or go wrong as scripted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lxml import etree

from controller.models.equipment import Equipment, Operation, OperationKind, SlotState, UnitState
from controller.models.errors import DeviceRefusedError
from controller.models.measurement import Period
from controller.nrm import namespaces as ns
from controller.ports.clock import Clock

_EVENTS = {
    OperationKind.DOWNLOAD: ("download-event", "file-name"),
    OperationKind.INSTALL: ("install-event", "slot-name"),
    OperationKind.ACTIVATE: ("activation-event", "slot-name"),
}
#: What every fake station comes with.
SLOTS = (
    SlotState(name="slot-a", status="VALID", version="1.0", active=True, running=True),
    SlotState(name="slot-b", status="EMPTY"),
)


@dataclass
class FakeEquipment:
    """What operations act on. Tests may look at and set its attributes.

    Attributes:
        restart: Restarts the station.
        notify: Sends a notification.
        units: Radio units by name.
        version: What installations find in downloaded files.
        power: ``MAINS`` or ``BATTERY``.
        licence: ``VALID`` or ``MISSING``.
        periods: What it measured last.
        fails: Operations that begin and then fail.
        sent: Operations that were carried out or begun, in order.
    """

    clock: Clock
    restart: Callable[[], None]
    notify: Callable[[etree._Element], None] = lambda content: None
    units: dict[str, UnitState] = field(default_factory=lambda: {"ru-1": UnitState(name="ru-1", kind="radio-unit")})
    slots: tuple[SlotState, ...] = SLOTS
    version: str = "2.0"
    power: str = "MAINS"
    licence: str = "VALID"
    periods: tuple[Period, ...] = ()
    fails: set[OperationKind] = field(default_factory=set)
    sent: list[OperationKind] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restarted = self.clock.now()
        self.units = {name: unit.model_copy(update={"restarted": self.restarted}) for name, unit in self.units.items()}

    def look(self) -> Equipment:
        """What the station says."""
        now, units = self.clock.now(), tuple(self.units.values())
        return Equipment(
            restarted=self.restarted,
            now=now,
            units=units,
            slots=self.slots,
            power=self.power,
            licence=self.licence,
        )

    def operate(self, operation: Operation) -> str:
        """Carry out an operation; why it does not begin, empty if it does."""
        kind, now = operation.kind, self.clock.now()
        if kind is OperationKind.RESET_UNIT and operation.subject not in self.units:
            raise DeviceRefusedError(f"invalid-value: there is no unit {operation.subject}")
        if kind is OperationKind.ACTIVATE and not self._has_valid(operation.subject):
            return f"there is no valid slot {operation.subject}"
        self.sent.append(kind)
        works = kind not in self.fails
        if kind is OperationKind.RESET and works:
            self._boot()
        elif kind is OperationKind.RESET_UNIT and works:
            unit = self.units[operation.subject]
            self.units[operation.subject] = unit.model_copy(update={"restarted": now})
        elif kind is OperationKind.RELOAD_LICENCE and works:
            self.licence = "VALID"
        elif kind is OperationKind.INSTALL:
            self._put(operation.subject, status="VALID" if works else "INVALID", version=self.version if works else "")
        elif kind is OperationKind.ACTIVATE and works:
            self.slots = tuple(s.model_copy(update={"active": s.name == operation.subject}) for s in self.slots)
        if kind in _EVENTS:
            self._tell(operation, "COMPLETED" if works else "APPLICATION_ERROR")
        return ""

    def _has_valid(self, name: str) -> bool:
        return any(slot.name == name and slot.status == "VALID" for slot in self.slots)

    def _boot(self) -> None:
        self.restarted = self.clock.now()
        self.slots = tuple(slot.model_copy(update={"running": slot.active}) for slot in self.slots)
        self.restart()

    def _put(self, name: str, *, status: str, version: str) -> None:
        update = {"status": status, "version": version}
        self.slots = tuple(slot.model_copy(update=update) if slot.name == name else slot for slot in self.slots)

    def _tell(self, operation: Operation, status: str) -> None:
        name, leaf = _EVENTS[operation.kind]
        content = etree.Element(f"{{{ns.ORAN_SOFTWARE}}}{name}")
        subject = operation.subject.rpartition("/")[2]
        for tag, text in ((leaf, subject), ("status", status)):
            etree.SubElement(content, f"{{{ns.ORAN_SOFTWARE}}}{tag}").text = text
        self.notify(content)
