"""A workbench: one station in virtual time and NETCONF clients on wires without SSH."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from lxml import etree

from simulators.clock import VirtualClock
from simulators.netconf.framing import Decoder, encode
from simulators.netconf.session import Session
from simulators.network import SimulatedNetwork, read_network
from simulators.station import Station, StationSettings

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ME = "urn:3gpp:sa5:_3gpp-common-managed-element"
ENB = "urn:minka:eutran-nrm"
TINY = Path(__file__).parents[3] / "fixtures" / "networks" / "tiny"


def tiny() -> SimulatedNetwork:
    return read_network(TINY)


def make_station(clock: VirtualClock, settings: StationSettings | None = None, station: str = "T-LTE-1") -> Station:
    network = tiny()
    record = next(record for record in network.stations if record.id == station)
    return Station(record, network.cores, clock, settings or StationSettings())


class Wire:
    """What a session writes, and whether it hung up."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert not self.aborted
        self.sent += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def run_loop() -> None:
    """Let everything happen that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


class Client:
    """A NETCONF client that says its hello when it is made."""

    def __init__(self, station: Station, *, chunked: bool = True, user: str = "minka") -> None:
        self.wire = Wire()
        self.station = station
        self.session = Session(station.server, user, self.wire)
        self.decoder = Decoder()
        self._chunked = chunked
        self._ids = itertools.count(1)
        self.inbox: list[etree._Element] = []
        self.session.open()
        capabilities = ["urn:ietf:params:netconf:base:1.0"]
        if chunked:
            capabilities.append("urn:ietf:params:netconf:base:1.1")
        names = "".join(f"<capability>{name}</capability>" for name in capabilities)
        hello = f'<hello xmlns="{BASE}"><capabilities>{names}</capabilities></hello>'
        self.session.receive(encode(hello.encode(), chunked=False))

    async def greeted(self) -> Client:
        await self.receive()
        assert self.inbox.pop(0).tag == f"{{{BASE}}}hello"
        self.decoder.chunked = self._chunked
        return self

    def send(self, message: bytes) -> None:
        self.session.receive(encode(message, chunked=self._chunked))

    async def receive(self) -> None:
        await run_loop()
        self.decoder.feed(bytes(self.wire.sent))
        self.wire.sent.clear()
        self.inbox += [etree.fromstring(message) for message in self.decoder.messages()]

    def post(self, operation: str) -> str:
        """Send an operation without waiting for its reply; return its message id."""
        number = str(next(self._ids))
        self.send(f'<rpc xmlns="{BASE}" message-id="{number}">{operation}</rpc>'.encode())
        return number

    async def rpc(self, operation: str) -> etree._Element:
        number = self.post(operation)
        await self.receive()
        reply = self.inbox.pop(0)
        assert reply.get("message-id") == number
        return reply

    async def ok(self, operation: str) -> None:
        reply = await self.rpc(operation)
        assert [child.tag for child in reply] == [f"{{{BASE}}}ok"], etree.tostring(reply)

    async def error(self, operation: str) -> tuple[str, dict[str, str]]:
        """The tag and the info of the only error."""
        reply = await self.rpc(operation)
        (error,) = reply
        assert error.tag == f"{{{BASE}}}rpc-error", etree.tostring(reply)
        info = error.find(f"{{{BASE}}}error-info")
        children = [] if info is None else list(info)
        return error.findtext(f"{{{BASE}}}error-tag") or "", {
            etree.QName(child).localname: child.text or "" for child in children
        }

    async def data(self, operation: str) -> etree._Element:
        reply = await self.rpc(operation)
        (data,) = reply
        assert data.tag == f"{{{BASE}}}data", etree.tostring(reply)
        return data

    async def label(self, datastore: str = "running") -> str | None:
        """The station's userLabel, which tests change."""
        data = await self.data(f"<get-config><source><{datastore}/></source></get-config>")
        return data.findtext(f"{{{ME}}}ManagedElement/{{{ME}}}attributes/{{{ME}}}userLabel")

    async def set_label(self, label: str) -> None:
        await self.ok(edit(label_config(label)))


def label_config(label: str, station: str = "T-LTE-1") -> str:
    return (
        f'<ManagedElement xmlns="{ME}"><id>{station}</id>'
        f"<attributes><userLabel>{label}</userLabel></attributes></ManagedElement>"
    )


def edit(config: str, default_operation: str | None = None, extra: str = "") -> str:
    default = f"<default-operation>{default_operation}</default-operation>" if default_operation else ""
    return (
        f"<edit-config><target><candidate/></target>{default}{extra}"
        f'<config xmlns:nc="{BASE}">{config}</config></edit-config>'
    )


def enb(content: str, station: str = "T-LTE-1", operation: str = "") -> str:
    """An ENBFunction with its attributes and whatever stands in it."""
    return (
        f'<ManagedElement xmlns="{ME}"><id>{station}</id><ENBFunction xmlns="{ENB}"{operation}><id>1</id>'
        "<attributes><priorityLabel>1</priorityLabel><eNBId>1001</eNBId>"
        f"<pLMNId><mcc>999</mcc><mnc>01</mnc></pLMNId></attributes>{content}</ENBFunction></ManagedElement>"
    )


def within_enb(content: str, station: str = "T-LTE-1") -> str:
    """Something in an ENBFunction that exists."""
    return (
        f'<ManagedElement xmlns="{ME}"><id>{station}</id><ENBFunction xmlns="{ENB}"><id>1</id>'
        f"{content}</ENBFunction></ManagedElement>"
    )


def cell(state: str = "UNLOCKED", pci: int = 11) -> str:
    return (
        "<EUtranCellFDD><id>1</id><attributes><priorityLabel>1</priorityLabel><cellLocalId>1</cellLocalId>"
        f"<administrativeState>{state}</administrativeState><plmnIdList><mcc>999</mcc><mnc>01</mnc></plmnIdList>"
        f"<tac>101</tac><pci>{pci}</pci><earfcnDl>9410</earfcnDl><earfcnUl>27410</earfcnUl>"
        "<dlChannelBandwidth>10.0</dlChannelBandwidth></attributes></EUtranCellFDD>"
    )


def link(
    name: str = "andes-mme-1", remote: str = "10.41.0.1", vlan: int = 101, local: str = "10.99.0.1", operation: str = ""
) -> str:
    return (
        f"<EP_S1C{operation}><id>{name}</id><attributes>"
        f"<localAddress><ipAddress>{local}</ipAddress><vlanId>{vlan}</vlanId></localAddress>"
        f"<remoteAddress>{remote}</remoteAddress>"
        "<servedPlmnList><mcc>999</mcc><mnc>01</mnc></servedPlmnList></attributes></EP_S1C>"
    )


def s1u(name: str = "andes-s1u", vlan: int = 101, local: str = "10.99.0.1") -> str:
    return (
        f"<EP_S1U><id>{name}</id><attributes>"
        f"<localAddress><ipAddress>{local}</ipAddress><vlanId>{vlan}</vlanId></localAddress></attributes></EP_S1U>"
    )


DELETE = ' nc:operation="delete"'
CREATE = ' nc:operation="create"'
