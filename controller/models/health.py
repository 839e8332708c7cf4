"""Health of a device as last seen: cells on air, core links up, drift."""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import AwareDatetime

from controller.models.alarm import SLEEPING_CELL, Alarm, AlarmSource
from controller.models.cloud import ClusterState
from controller.models.device_kinds import DEFAULT_KIND
from controller.models.errors import AuthenticationError, HostKeyError, HostKeyUnreadableError, NotPermittedError
from controller.models.network import DeviceKind, Noun


class ServiceState(StrEnum):
    """State of a cell or core link, as far as its station reports it.

    A state that the station does not report, or reports in a word that no specification has, is unknown: it is no
    fault, nothing repairs it, and checks say that it was not checked.
    """

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        """Whether it is known to serve."""
        return self is ServiceState.UP

    @classmethod
    def of(cls, value: object, good: str, bad: Container[object]) -> ServiceState:
        """The state for a leaf's value: of what serves, of what does not, or of neither, None where nothing is said."""
        if value == good:
            return cls.UP
        return cls.DOWN if value in bad else cls.UNKNOWN

    @property
    def opposite(self) -> ServiceState:
        """Down for up, and up for down."""
        return {ServiceState.UP: ServiceState.DOWN, ServiceState.DOWN: ServiceState.UP}.get(self, self)

    @classmethod
    def any_of(cls, states: Iterable[ServiceState]) -> ServiceState:
        """Up if any is, down if all are."""
        found = set(states)
        return next((state for state in (cls.UP, cls.UNKNOWN) if state in found), cls.DOWN)


class LinkFault(StrEnum):
    """The fault of a core link that was read last: what is not known changes nothing of it."""

    NONE = ""
    """None, or none that is known."""
    VANISHED = "vanished"
    """The station has no such link any more; nothing else is known to be wrong with it."""
    REPORTED = "reported"
    """The station reported it down."""


class LinkHealth(Noun):
    """State of one core link of ours.

    Attributes:
        path: Its entry in the device tree.
        state: Whether it works; a link that vanished from the station does not.
        missing: Whether it vanished from the station: that says nothing of its remote end.
        fault: The fault that was read last, which stays while its state is not known.
        odd: Its state in the station's own words, where no specification has them; empty where one has.
        locked: Whether somebody locked it: then it is down, which is no fault.
        tunnel: Address of the security gateway that its packets go through; empty if there is none.
        since: Since when it has been down, as in ``Health.off_air``, also while its station can't be read; None if it
            was not down when it was read last.
    """

    path: str
    tenant: str
    kind: str
    state: ServiceState
    missing: bool = False
    fault: LinkFault = LinkFault.NONE
    odd: str = ""
    locked: bool = False
    tunnel: str = ""
    since: AwareDatetime | None = None

    @property
    def up(self) -> bool:
        """Whether it is known to work."""
        return self.state is ServiceState.UP

    def fault_after(self, before: LinkFault) -> LinkFault:
        """Its fault as of this read, after the one that was known before."""
        if self.missing:
            return before or LinkFault.VANISHED
        if self.up or self.locked:
            return LinkFault.NONE
        if self.state is ServiceState.DOWN:
            return LinkFault.REPORTED
        return LinkFault.NONE if before is LinkFault.VANISHED else before


class MissingPlmn(NamedTuple):
    """A PLMN of ours that a cell should broadcast by the last applied configuration, and does not have any more.

    Attributes:
        cell: Id of the cell at its station.
        tenant: The tenant that owns it.
        path: Its entry in the device tree; the first of them where it has several, by slice.
    """

    cell: str
    plmn: str
    tenant: str
    path: str


#: Longest time between two checks of a station of which it is known what happened in between.
OBSERVED_AFTER = timedelta(minutes=10)


class Refusal(StrEnum):
    """Why a caller that calls home is refused."""

    UNKNOWN = "unknown"
    OTHER_CERTIFICATE = "other-certificate"
    OTHER_NAME = "other-name"
    NOT_VOUCHED = "not-vouched"
    CREDENTIAL = "credential"
    UNREADABLE = "unreadable"
    COSTLY = "costly"
    BROKE_OFF = "broke-off"
    STRANGER = "stranger"
    """It does not say who it is, and nobody knows it: it may be any station that calls home."""


#: The same of a station in words that tenants may read: without addresses, names and fingerprints.
_REFUSED = {
    Refusal.UNKNOWN: "who calls in its name shows a key or certificate that the network files have for no station",
    Refusal.OTHER_CERTIFICATE: "it calls with another certificate than the network files pin",
    Refusal.OTHER_NAME: "it calls with a certificate of another name",
    Refusal.NOT_VOUCHED: "it calls with a certificate for which its authority does not vouch",
    Refusal.CREDENTIAL: "it calls from an address for which its credential is not meant",
    Refusal.UNREADABLE: "it calls with a certificate that can't be read",
    Refusal.COSTLY: "it calls, and sends more than is read of a caller before it is known",
    Refusal.BROKE_OFF: "it calls, and breaks off before it is let in",
    Refusal.STRANGER: "callers that nobody knows are refused, and it may be one of them",
}


class Health(Noun):
    """State of one device at one time.

    If it can't be read, all its cells and core links are unknown, and all other values are the last known ones. So
    it is with one that answers again while a job changes it.

    Attributes:
        at: When it was checked.
        reachable: Whether it answered.
        changing: Whether it could not be reached before, and answers again while a job changes it: then nothing else is
            known, since it is neither as it was nor as it will be.
        read: When it was last read; None if it never was.
        turn: The device's last turn among the regular checks until then, at which it was checked, or soon after. None
            if it had none yet.
        turn_before: The turn before that; None if there was none.
        reason: Code of the error that prevented the read (``controller.models.errors``); empty if it was read.
        refusal: Why a station that calls home is refused, as a code; empty where it is not, or did not call.
        said: The reason in words, for a pool; empty for other devices, since tenants may see their faults.
        cells: Whether it is on air (not LOCKED, ENABLED and ACTIVE) by cell id; one that is SHUTTINGDOWN may be.
        odd: States of cells in the station's own words, by cell id, where no specification has them.
        locked: Cells of ours whose administrative state is LOCKED or SHUTTINGDOWN, sorted.
        gone: Cells of ours that it does not carry any more, sorted.
        off_air: Cells of ours by path that are known to be off air, although unlocked and with a PLMN to broadcast; and
            since when: the station's time if it lies between two checks, otherwise the first check that saw it.
        recent_outages: Cells of ours by path that were off air in the last hour and are on air again: since when, as in
            ``off_air``, and the check that saw it again.
        lasted: Cells and links of ours by path whose fault the station's own list has kept since before Minka could not
            read it; and since when that was. Only in the first read after such a time.
        ports_down: Ports of a router by path that carry interfaces of ours, are not shut down, and get no signal.
        over: Number of cleared alarms that its list keeps, since nobody acknowledged them.
        drift: Number of managed nodes that differ from the last applied configuration.
        missing: PLMNs that cells should broadcast and do not have any more, sorted.
        plmns: PLMNs of each LTE cell in the order in which the station has them, by cell id.
        lost: Whether a virtual station has lost its whole configuration, since its function has a new pod.
        device: Class of the device, as alarms of the whole device name it.
        function: Faults of a function, in words by probable cause.
        unknown: Probable causes of which nobody knows whether they hold, since a pool of the function is away. They
            are neither raised nor cleared.
        placed: When a function came to each of its pools, by pool, as the pools say.
        cluster: Nodes and pods of a pool; None for other devices.
        supply: What external inputs tell of the power of a station's site, by probable cause: in words, or empty where
            all is well. A cause of which none tells anything is missing.
        units: Radio units that are lost, with their cells.
        reserve: Why a pool can't lose its reserve of nodes any more; empty if it can.
    """

    station: str
    at: AwareDatetime
    reachable: bool
    changing: bool = False
    read: AwareDatetime | None = None
    turn: AwareDatetime | None = None
    turn_before: AwareDatetime | None = None
    reason: str = ""
    refusal: Refusal | Literal[""] = ""
    said: str = ""
    cells: dict[str, ServiceState] = {}
    odd: dict[str, str] = {}
    locked: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    links: tuple[LinkHealth, ...] = ()
    off_air: dict[str, AwareDatetime] = {}
    recent_outages: dict[str, tuple[tuple[AwareDatetime, AwareDatetime], ...]] = {}
    lasted: dict[str, AwareDatetime] = {}
    ports_down: tuple[str, ...] = ()
    over: int = 0
    drift: int = 0
    missing: tuple[MissingPlmn, ...] = ()
    plmns: dict[str, tuple[str, ...]] = {}
    lost: bool = False
    device: DeviceKind = DEFAULT_KIND
    function: dict[str, str] = {}
    unknown: tuple[str, ...] = ()
    placed: dict[str, AwareDatetime] = {}
    cluster: ClusterState | None = None
    supply: dict[str, str] = {}
    units: dict[str, tuple[str, ...]] = {}
    reserve: str = ""

    @property
    def refused(self) -> str:
        """Why a station that calls home is refused, in words and by its code; empty where it is not."""
        return f"{_REFUSED[self.refusal]} ({self.refusal})" if self.refusal else ""

    @property
    def unreached(self) -> str:
        """Why nobody reaches a station, in words that tenants may read; empty where nobody knows."""
        if self.reason == HostKeyUnreadableError.code:
            return "the network files pin a host key that can't be read, so nothing is sent to it"
        return self.refused

    @property
    def was_read(self) -> bool:
        """Whether its state was read: it answered, and was not just being changed."""
        return self.reachable and not self.changing

    @property
    def silence(self) -> str:
        """Why a pool can't be read, in a few words."""
        return {
            AuthenticationError.code: "it refuses the login",
            HostKeyError.code: "it shows a certificate that is not accepted",
            NotPermittedError.code: "it does not permit what Minka needs",
        }.get(self.reason, "it does not answer")

    def in_turn(self, turn: datetime | None, before: Health | None) -> Health:
        """A copy for a check in this turn, or after it, that follows the check ``before``."""
        last, earlier = (before.turn, before.turn_before) if before else (None, None)
        turns = (last, earlier) if turn is None or turn == last else (turn, last)
        return self.model_copy(update={"turn": turns[0], "turn_before": turns[1]})

    def told_at(self, now: datetime) -> datetime:
        """The time of this check for people who do not see all of the device: that of a regular turn.

        Other checks have reasons that are not theirs, such as a fault or a change of another tenant. A change also
        keeps a check waiting; so a turn counts only once half of the time to the next one is over.
        """
        if self.turn is None:
            return self.at
        if self.turn_before is None or now - self.turn >= (self.turn - self.turn_before) / 2:
            return self.turn
        return self.turn_before

    def serves(self, cell: str, tenant: str) -> bool:
        """Whether a tenant gets service from a cell, or may get it: unknown states count as service.

        It gets none from a cell that is off air, from a station that has lost its configuration, or if all of its own
        and the shared core links are down.
        """
        links = [link for link in self.links if link.tenant in ("", tenant)]
        cut = any(link.tenant for link in links) and all(link.state is ServiceState.DOWN for link in links)
        return self.cells.get(cell) is not ServiceState.DOWN and not (cut or self.lost)

    def with_sleepers(self, alarms: Iterable[Alarm]) -> Health:
        """A copy in which cells with a standing alarm for a sleeping cell serve nobody, whatever the station says.

        Only Minka's own measurement knows: whoever else says so takes no tenant's consent away.
        """
        asleep = (
            one
            for one in alarms
            if one.probable_cause == SLEEPING_CELL and one.source == AlarmSource.CHECK and one.cleared is None
        )
        names = {cell.partition("/")[2] for one in asleep for cell in one.cells}
        return self.model_copy(update={"cells": self.cells | dict.fromkeys(names, ServiceState.DOWN)})

    @property
    def reporting_cells(self) -> frozenset[str]:
        """Ids of cells whose state the station reports."""
        return frozenset(cell for cell, state in self.cells.items() if state is not ServiceState.UNKNOWN)
