"""Software slots of a station and the operations of o-ran-software-management on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from lxml import etree

from simulators.clock import Clock
from simulators.elements import Make, leaf, node, root
from simulators.equipment.faults import NetworkFaults
from simulators.history import ITSELF, EventKind, History

SOFTWARE_NS = "urn:o-ran:software-management:1.0"
#: Version of the build that a station comes with, and of the one that somebody leaves there by mistake.
FACTORY_VERSION, CURRENT_VERSION, WRONG_VERSION = "20.0.0", "24.2.1", "19.9.9"
#: Seconds that a download, an installation and an activation take.
DOWNLOAD_SECONDS, INSTALL_SECONDS, ACTIVATE_SECONDS = 20.0, 30.0, 5.0
_VERSION = re.compile(r"(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot and its content; ``status`` is VALID, INVALID or EMPTY."""

    name: str
    status: str
    version: str = ""
    active: bool = False
    running: bool = False
    writable: bool = True


#: The slots of a new station.
FACTORY_SLOTS = (
    Slot("slot-factory", "VALID", FACTORY_VERSION, writable=False),
    Slot("slot-a", "VALID", CURRENT_VERSION, active=True, running=True),
    Slot("slot-b", "EMPTY"),
)


class Software:
    """The software of one station. Operations return why they could not begin, or an empty text."""

    __slots__ = ("_clock", "_epoch", "_faults", "_files", "_history", "_notify", "slots")

    def __init__(self, clock: Clock, faults: NetworkFaults, history: History, notify: Callable[[Make], None]) -> None:
        self._clock = clock
        self._faults = faults
        self._history = history
        self._notify = notify
        self._files: dict[str, str] = {}
        self._epoch = 0
        self.slots: tuple[Slot, ...] = FACTORY_SLOTS

    @property
    def version(self) -> str:
        """Version of the build that runs."""
        return next(slot.version for slot in self.slots if slot.running)

    def begin_anew(self, version: str) -> None:
        """Start over with this version in both slots."""
        self.stopped()
        self._files.clear()
        self.slots = tuple(replace(slot, version=version) if slot.status == "VALID" else slot for slot in FACTORY_SLOTS)

    # ----------------------------------------------------------- operations

    def download(self, path: str) -> str:
        """Fetch a file from a server."""
        name = path.rpartition("/")[2]
        if "://" not in path or not name:
            return f"{path!r:.80} names no file on a server"
        self._later(DOWNLOAD_SECONDS, lambda: self._downloaded(name))
        return ""

    def _downloaded(self, name: str) -> None:
        if self._faults.take("download-fails"):
            self._report("download-event", "FILE_NOT_FOUND", "the server has no such file", file_name=name)
            return
        found = _VERSION.search(name)
        self._files[name] = found[1] if found else "0.0.0"
        self._report("download-event", "COMPLETED", file_name=name)

    def install(self, slot_name: str, files: list[str]) -> str:
        """Put downloaded files into a slot that is neither active nor running."""
        slot = self._slot(slot_name)
        if slot is None or not slot.writable:
            return f"there is no slot {slot_name!r:.40} to install to"
        if slot.active or slot.running:
            return f"{slot_name} is active or running"
        names = files or list(self._files)
        missing = [name for name in names if name not in self._files]
        if missing or not names:
            return f"not downloaded: {', '.join(missing) or 'nothing is'}"
        self._put(replace(slot, status="INVALID", version=""))
        self._later(INSTALL_SECONDS, lambda: self._installed(slot_name, names[0]))
        return ""

    def _installed(self, slot_name: str, name: str) -> None:
        slot = self._slot(slot_name)
        assert slot is not None
        if self._faults.take("wrong-checksum"):
            self._report("install-event", "INTEGRITY_ERROR", f"{name}: wrong checksum", slot_name=slot_name)
        elif self._faults.take("install-fails"):
            self._report("install-event", "APPLICATION_ERROR", "no space left in the slot", slot_name=slot_name)
        else:
            self._put(replace(slot, status="VALID", version=self._files[name]))
            self._report("install-event", "COMPLETED", slot_name=slot_name)

    def activate(self, slot_name: str) -> str:
        """Select a slot for the next start."""
        slot = self._slot(slot_name)
        if slot is None or slot.status != "VALID":
            return f"there is no valid slot {slot_name!r:.40}"
        self._later(ACTIVATE_SECONDS, lambda: self._activated(slot_name))
        return ""

    def _activated(self, slot_name: str) -> None:
        if self._faults.take("activation-fails"):
            self._report("activation-event", "APPLICATION_ERROR", "the slot can't be started from", slot_name=slot_name)
            return
        self.slots = tuple(replace(slot, active=slot.name == slot_name) for slot in self.slots)
        self._report("activation-event", "COMPLETED", slot_name=slot_name)

    # ------------------------------------------------------ what happens to it

    def stopped(self) -> None:
        """The station stops; what is under way is lost."""
        self._epoch += 1

    def started(self) -> bool:
        """The station starts from the active slot, or from the old one if that fails; return if its build is new."""
        active = next(slot for slot in self.slots if slot.active)
        if active.running:
            return False
        if self._faults.take("boot-fails"):
            # A slot that did not start is not tried again.
            self.slots = tuple(replace(slot, active=slot.running) for slot in self.slots)
            return False
        before = self.version
        self.slots = tuple(replace(slot, running=slot.active) for slot in self.slots)
        return self.version != before

    def leave_wrong_build(self) -> None:
        """Somebody leaves a wrong build in the running slot."""
        self.slots = tuple(replace(s, version=WRONG_VERSION) if s.running else s for s in self.slots)

    def restore_build(self) -> None:
        """Somebody puts the right build there again."""
        self.slots = tuple(replace(s, version=CURRENT_VERSION) if s.version == WRONG_VERSION else s for s in self.slots)

    # -------------------------------------------------------------- inside

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        epoch = self._epoch
        self._clock.call_later(seconds, lambda: callback() if epoch == self._epoch else None)

    def _slot(self, name: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.name == name), None)

    def _put(self, new: Slot) -> None:
        self.slots = tuple(new if slot.name == new.name else slot for slot in self.slots)

    def _report(self, event: str, status: str, message: str = "", **names: str) -> None:
        def make() -> etree._Element:
            content = root(SOFTWARE_NS, event)
            for name, value in names.items():
                leaf(content, name.replace("_", "-"), value)
            leaf(content, "status", status)
            if message:
                leaf(content, "error-message", message)
            return content

        self._history.record(EventKind.SOFTWARE, ITSELF, event=event, status=status, **names)
        self._notify(make)


def inventory(slots: tuple[Slot, ...]) -> etree._Element:
    """The ``software-inventory`` container."""
    top = root(SOFTWARE_NS, "software-inventory")
    for slot in slots:
        entry = node(top, "software-slot")
        leaf(entry, "name", slot.name)
        leaf(entry, "status", slot.status)
        if slot.status == "VALID":
            leaf(entry, "active", str(slot.active).lower())
            leaf(entry, "running", str(slot.running).lower())
        leaf(entry, "access", "READ_WRITE" if slot.writable else "READ_ONLY")
        if slot.version:
            leaf(entry, "vendor-code", "MK")
            leaf(entry, "build-name", "station")
            leaf(entry, "build-version", slot.version)
            file = node(entry, "files")
            leaf(file, "name", "station.bin")
            leaf(file, "version", slot.version)
            leaf(file, "local-path", f"/software/{slot.name}/station.bin")
            leaf(file, "integrity", "OK" if slot.status == "VALID" else "NOK")
    return top
