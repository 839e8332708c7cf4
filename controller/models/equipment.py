"""Parts of a station, and operations on it that do not edit its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AwareDatetime, Field

from controller.models.errors import UnreachableError
from controller.models.network import Noun
from controller.models.scalars import Codes

#: Kind of the units that transmit cells.
RADIO_UNIT = "radio-unit"
#: Seconds after which a radio unit without a sign of life is lost: interval and guard of its supervision, which are 60
#: and 10 s by default (o-ran-supervision).
SUPERVISION_SECONDS = 70
#: Kind of the units of a function.
POD_UNIT = "pod"
#: Sources of a station's power, and whether its licence lets it serve, as the station tells them.
PowerSource = Annotated[str, Codes(("MAINS", "BATTERY"))]
LicenceState = Annotated[str, Codes(("VALID", "MISSING"))]


class UnitState(Noun):
    """A unit that can be replaced or reset.

    Attributes:
        kind: ``baseband``, ``radio-unit`` or ``fan``; for a function ``pod``, named by pool, node and pod.
        state: ``enabled``, ``degraded`` or ``disabled``.
        cells: Names of the cells that it transmits.
        restarted: When it started last, by the station's clock; None if the station does not say.
        silent: Seconds since its latest sign of life; None if the station does not say.
    """

    name: str
    kind: Annotated[str, Codes(("baseband", RADIO_UNIT, "fan", POD_UNIT))] = ""
    state: Annotated[str, Codes(("enabled", "degraded", "disabled"))] = ""
    cells: tuple[str, ...] = ()
    restarted: AwareDatetime | None = None
    silent: int | None = None

    @property
    def lost(self) -> bool:
        """Whether a radio unit gives no sign of life for longer than its supervision allows."""
        return self.kind == RADIO_UNIT and self.silent is not None and self.silent >= SUPERVISION_SECONDS


class SlotState(Noun):
    """A software slot (o-ran-software-management).

    Attributes:
        status: ``VALID``, ``INVALID`` or ``EMPTY``.
        active: Whether the next start takes it.
        running: Whether the station runs from it.
        writable: Whether builds can be installed into it.
    """

    name: str
    status: Annotated[str, Codes(("VALID", "INVALID", "EMPTY"))] = ""
    version: str = ""
    active: bool = False
    running: bool = False
    writable: bool = True


class Equipment(Noun):
    """Equipment of a station as it reports it; values that it does not report are empty.

    Attributes:
        restarted: When it started last (o-ran-operations ``restart-datetime``), by its own clock.
        now: Its own clock.
        power: ``MAINS`` or ``BATTERY``.
        licence: ``VALID`` or ``MISSING``.
        unseen: Why no pods are known of a pool, by pool: it did not answer, or refused us.
    """

    restarted: AwareDatetime | None = None
    now: AwareDatetime | None = None
    units: tuple[UnitState, ...] = ()
    slots: tuple[SlotState, ...] = ()
    power: PowerSource = ""
    licence: LicenceState = ""
    unseen: Mapping[str, str] = {}

    def unit(self, name: str) -> UnitState | None:
        """A unit by name."""
        return next((unit for unit in self.units if unit.name == name), None)

    def pods_on(self, node: str) -> tuple[str, ...]:
        """Pods of a function on a node, given as pool and node.

        Raises:
            UnreachableError: The pool does not say.
        """
        if (reason := self.unseen.get(node.partition("/")[0])) is not None:
            raise UnreachableError(reason)
        return tuple(unit.name for unit in self.units if unit.kind == POD_UNIT and unit.name.startswith(f"{node}/"))

    def slot(self, name: str) -> SlotState | None:
        """A software slot by name."""
        return next((slot for slot in self.slots if slot.name == name), None)

    @property
    def running(self) -> SlotState | None:
        """The slot that the station runs from."""
        return next((slot for slot in self.slots if slot.running), None)


class OperationKind(StrEnum):
    """Operations of stations: o-ran-operations, o-ran-software-management, and repairs; eviction of functions."""

    RESET = "reset"
    RESET_UNIT = "reset-unit"
    RELOAD_LICENCE = "reload-licence"
    DOWNLOAD = "software-download"
    INSTALL = "software-install"
    ACTIVATE = "software-activate"
    ACKNOWLEDGE = "acknowledge-records"
    EVICT = "evict"

    @property
    def interrupts(self) -> bool:
        """Whether service is interrupted by it."""
        return self in (OperationKind.RESET, OperationKind.RESET_UNIT, OperationKind.EVICT)

    @property
    def restarts(self) -> bool:
        """Whether its device may not be reached meanwhile: it starts anew, or a part of it that sessions may need."""
        return self in (OperationKind.RESET, OperationKind.RESET_UNIT)

    @property
    def brings(self) -> bool:
        """Whether it only brings software onto its device: whoever begins again finds it there."""
        return self in (OperationKind.DOWNLOAD, OperationKind.INSTALL)

    @property
    def outlasts(self) -> bool:
        """Whether something of it stays until somebody acts again: the next start takes other software."""
        return self is OperationKind.ACTIVATE

    @property
    def exclusive(self) -> bool:
        """Whether no other change may be in progress meanwhile."""
        return self.interrupts or self is OperationKind.ACKNOWLEDGE


class Operation(Noun):
    """One operation: on record before it is sent, and verified by reading back, never by its answer.

    Attributes:
        subject: Its object: the unit, the slot, the file's address, the path of the list of alarms, or pool and node
            (``edge-1/node-2``). For a reset, the slot that must run afterwards; empty for any.
        files: Names of downloaded files to install.
        version: For an installation, the version that the slot must hold afterwards; empty for any.
        since: By the station's clock: the last start of the object (resets), or the time before the operation. A later
            start proves a reset; later events belong to this operation.
        seconds: How long to wait for the effect.
        records: Ids of alarm records to acknowledge.
        user: The user who acknowledges them.
    """

    kind: OperationKind
    subject: str = ""
    files: tuple[str, ...] = ()
    version: str = ""
    since: AwareDatetime | None = None
    seconds: float = Field(gt=0)
    records: tuple[str, ...] = ()
    user: str = ""

    def __str__(self) -> str:
        """The operation in words."""
        return f"{self.kind} {self.subject}".rstrip()


class SoftwareEvent(Noun):
    """A notification of a station about a download, an installation or an activation.

    Attributes:
        kind: Kind of the operation.
        subject: File or slot.
        status: ``COMPLETED``, or what went wrong.
        at: The station's event time; None if it is not valid.
    """

    kind: OperationKind
    subject: str
    status: str
    message: str = ""
    at: AwareDatetime | None = None


def comes_from(url: str, sources: Sequence[str]) -> bool:
    """Whether a file's address lies below one of these: the same scheme, host and port, and a path within.

    Paths with steps upwards lie below none. The user name in the address does not matter.
    """
    wanted = urlsplit(url)
    if any(letter.isspace() for letter in url) or ".." in unquote(unquote(wanted.path)).replace("\\", "/").split("/"):
        return False
    places = ((urlsplit(source), source) for source in sources)
    return any(
        (wanted.scheme, _host(url)) == (place.scheme, _host(source)) and wanted.path.startswith(place.path)
        for place, source in places
    )


def _host(url: str) -> str:
    """Host and port, as written."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
