"""All that simulated stations say and that plans write, under the official modules (see tests/conftest.py).

Stations of all kinds are brought on air by plans, changed, lose a tenant and get it back by an undo; they have faults,
alarm lists, jobs, new software and transactions under way. Every edit, every answer to ``<get>`` on the way and every
notification is validated by yanglint under the modules of 3GPP, O-RAN and the IETF, without any of our deviations.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from controller.drivers.netconf import requests
from controller.drivers.netconf.codec import decode, encode_edit, read_filter
from controller.drivers.netconf.equipment import encode_operation, equipment_filter
from controller.intent import compile_intent
from controller.inventory.load import load_network
from controller.models.behaviour import FollowUp
from controller.models.equipment import Operation, OperationKind
from controller.models.network import Network
from controller.models.plan import Change, Edit, Op
from controller.models.run import LedgerEntry
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import link_kind, root_spec
from controller.nrm.profiles.alarm_list import encode_acknowledgement, list_in
from controller.nrm.schema import NodeSpec
from controller.nrm.tree import Observed, Tree
from controller.plan import (
    PlanOptions,
    StationView,
    administrative_state_change,
    plan_station,
    recreate_endpoints_change,
    undo_change,
    wanted_by,
)
from controller.plan.inputs import at_what_cells_name, with_given
from simulators.clock import VirtualClock
from simulators.equipment.fault_kinds import NETWORK_FAULTS, Place
from simulators.netconf.profiles import PROFILES
from simulators.network import SimulatedNetwork, StationRecord, Surroundings, read_network
from simulators.station import Station, StationSettings
from tests.conformance.ts_32_130.conftest import OWN_CELLS
from tests.conftest import OFFICIAL_MODULES
from tests.strategies.networks import sound_networks
from tests.unit.nrm import lint
from tests.unit.simulators.netconf.bench import ME, TINY, Client

pytestmark = pytest.mark.needs("yanglint")

TODAY = date(2026, 6, 15)
#: Any number of nodes may go; identities may change.
FREELY = PlanOptions(remove=dict.fromkeys(("andes", "condor", "vicuna", "host"), 1000), identities=True)
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
REPORT_ALL = '<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">report-all</with-defaults>'
SOFTWARE, SUPERVISION = "urn:o-ran:software-management:1.0", "urn:o-ran:supervision:1.0"
IETF = (
    "ietf-datastores@2018-02-14",
    "ietf-hardware@2018-03-13",
    "ietf-netconf@2011-06-01",
    "ietf-netconf-monitoring@2010-10-04",
    "nc-notifications@2008-07-14",
)
ORAN = (
    "o-ran-externalio",
    "o-ran-fm",
    "o-ran-hardware",
    "o-ran-operations",
    "o-ran-software-management",
    "o-ran-supervision",
)
#: Modules of 3GPP beside those that ``load-3gpp.txt`` lists.
MORE = (
    *("danrmanagementfunction", "eutrancellrelation", "nrcellrelation"),
    *("nrfreqrelation", "nrfrequency", "nrnetwork", "eutranetwork", "externalenbfunction", "externaleutrancell"),
    *("externalgnbcucpfunction", "externalnrcellcu"),
)
#: Relations of all kinds.
NEIGHBOURS = """station,cell,neighbour_station,neighbour_cell
T-NR-1,n78-1,T-BOTH-1,n78-1
T-BOTH-1,n78-1,T-NR-1,n78-1
T-BOTH-1,n78-1,T-LTE-1,1
T-LTE-1,1,T-BOTH-1,n78-1
T-LTE-1,1,T-LTE-2,1
T-LTE-2,1,T-LTE-1,2
"""
#: Has create-subscription, and a node that all data would have to have.
RFC_5277 = OFFICIAL_MODULES / "ietf/notifications@2008-07-14.yang"
RFC_6470 = "ietf-netconf-notifications@2012-02-06.yang"
LIBRARY = OFFICIAL_MODULES / "ietf/ietf-yang-library@2019-01-04.yang"
OLD_LIBRARY = lint.SIMULATED_MODULES / "older/ietf-yang-library@2016-06-21.yang"
#: O-RAN's modules want o-ran-usermgmt, with a user; our stations have users, and no module for them.
USERS = OFFICIAL_MODULES / "examples/07-oran-users-config.xml"
JOB = """<PerfMetricJob><id>j1</id><attributes><performanceMetrics>RRC</performanceMetrics>
<performanceMetrics>RRU</performanceMetrics><granularityPeriod>900</granularityPeriod>
<fileReportingPeriod>15</fileReportingPeriod></attributes></PerfMetricJob>"""
#: A sample network with radio of many kinds.
PERU = lint.REPOSITORY / "deploy/networks/peru-mini"


@dataclass
class StationDocuments:
    """Documents by name: answers to ``<get>``, edits, notifications."""

    data: dict[str, bytes] = field(default_factory=dict)
    edit: dict[str, bytes] = field(default_factory=dict)
    notification: dict[str, bytes] = field(default_factory=dict)
    #: The first operation of each name, and its reply.
    reply: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)


class Bench:
    """One simulated station under management, and all that is said."""

    def __init__(
        self, record: StationRecord, around: SimulatedNetwork, said: StationDocuments, profile: str = "standard"
    ) -> None:
        self.clock = VirtualClock()
        settings = StationSettings(profile=PROFILES[profile], boot_seconds=30)
        self.station = Station(record, around.cores, self.clock, settings, Surroundings.of(around, None))
        self.client = Client(self.station)
        self.profiles = record.profiles
        self.ledger: dict[str, LedgerEntry] = {}
        self.name, self.said = f"{record.id}-{profile}", said

    async def ask(self, operation: str) -> etree._Element:
        """The reply to an operation; notifications that come meanwhile are kept."""
        self.client.post(operation)
        await self.client.receive()
        replies = [message for message in self.client.inbox if message.tag == f"{{{BASE}}}rpc-reply"]
        for message in self.client.inbox:
            if message not in replies:
                self.said.notification[f"{self.name}-{len(self.said.notification)}"] = etree.tostring(message)
        self.client.inbox.clear()
        assert replies[0].find(f"{{{BASE}}}rpc-error") is None, (self.name, etree.tostring(replies[0]), operation)
        sent = f'<rpc xmlns="{BASE}" message-id="{replies[0].get("message-id")}">{operation}</rpc>'.encode()
        name = etree.QName(etree.fromstring(sent)[0]).localname
        self.said.reply.setdefault(name, (sent, etree.tostring(replies[0])))
        return replies[0]

    async def show(self, when: str, more: str = "") -> Observed:
        """Ask for everything."""
        (data,) = await self.ask(f"<get>{more}</get>")
        self.said.data[f"{self.name}-{when}"] = b"".join(etree.tostring(child) for child in data)
        return decode(root_spec(self.profiles), data, self.station.id)

    async def write(self, elements: Iterable[etree._Element], name: str, default: str = "none") -> None:
        text = b"".join(map(etree.tostring, elements))
        self.said.edit[f"{self.name}-{name}"] = text
        chosen = f"<target><candidate/></target><default-operation>{default}</default-operation>"
        await self.ask(f"<edit-config>{chosen}<config>{text.decode()}</config></edit-config>")
        await self.ask("<commit/>")

    async def plan(self, network: Network, when: str) -> Change:
        """Plan what a network wants, and apply it."""
        observed = await self.show(f"before-{when}")
        change = planned(network, self.station.id, StationView(observed, adopted=True, ledger=self.ledger))
        assert change is not None
        await self.apply(change, when)
        gained = {node.path: LedgerEntry(station=self.station.id, **dict(node)) for node in change.gained}
        self.ledger = {path: entry for path, entry in self.ledger.items() if path not in change.lost} | gained
        return change

    async def apply(self, change: Change, when: str) -> None:
        """Apply a change phase by phase, each of which is taken back once."""
        for number, phase in enumerate(change.phases):
            for step, edits in (("do", phase.edits), ("back", phase.inverse), ("again", phase.edits)):
                await self.write([*encode_edit(root_spec(self.profiles), edits)], f"{when}-{number}-{step}")
            self.clock.advance(5)
            await self.show(f"after-{when}-{number}")

    async def manage(self, content: str, when: str) -> None:
        """Write below the managed element."""
        xml = f'<ManagedElement xmlns="{ME}"><id>{self.station.id}</id>{content}</ManagedElement>'
        await self.write([etree.fromstring(xml)], when, "merge")
        self.clock.advance(0)
        await self.show(f"after-{when}")

    async def maintain(self) -> None:
        """What playbooks do beside plans: lock and unlock cells, create a core link again, acknowledge an alarm."""
        owners = {path: entry.owners for path, entry in self.ledger.items()}
        for state in ("LOCKED", "UNLOCKED"):
            observed = await self.show(f"before-{state}")
            change = administrative_state_change(self.station.id, self.profiles, observed, None, owners, state)
            assert change is not None
            await self.apply(change, state)
        observed = await self.show("before-new-link")
        link = next(path for path in observed.tree if link_kind(path))
        change = recreate_endpoints_change(self.station.id, self.profiles, observed, {link: owners[link]})
        await self.apply(change, "new-link")
        records = [record.id for record in self.station.equipment.alarms.records]
        await self.write([*encode_acknowledgement(list_in(observed.tree), records, "ana")], "acknowledged", "merge")
        await self.show("acknowledged")

    async def renew_software(self) -> None:
        names = {"download": "<remote-file-path>sftp://minka@10.0.0.1/station-24.3.0.zip</remote-file-path>"}
        for step in ("download", "install", "activate"):
            content = names.get(step, "<slot-name>slot-b</slot-name>")
            await self.ask(f'<software-{step} xmlns="{SOFTWARE}">{content}</software-{step}>')
            await self.show(f"while-{step}")
            self.clock.advance(60)

    async def fail(self) -> None:
        """Let every fault begin that a station can have, and end."""
        for name, kind in NETWORK_FAULTS.items():
            of_nobody = kind.place is Place.TENANT and not self.station.equipment.radio.tenants_linked
            if name != "configuration-reverted" and not of_nobody:
                self.station.equipment.begin_fault(name, seed="1")
        self.clock.advance(60)
        await self.show("broken")
        self.station.equipment.faults.clear()
        self.clock.advance(60)
        await self.show("mended")

    async def transact(self) -> None:
        """Leave a confirmed commit open, and locks."""
        other = await Client(self.station).greeted()
        await other.ok("<lock><target><running/></target></lock>")
        await other.ok("<unlock><target><running/></target></unlock>")
        await self.ask("<lock><target><candidate/></target></lock>")
        element = f'<ManagedElement xmlns="{ME}"><id>{self.station.id}</id><attributes><userLabel>x</userLabel>'
        content = f"<config>{element}</attributes></ManagedElement></config>"
        await self.ask(f"<edit-config><target><candidate/></target>{content}</edit-config>")
        await self.ask("<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>")
        await self.show("in-transaction")
        await self.show("with-defaults", REPORT_ALL)
        self.clock.advance(61)
        await self.show("taken-back")


def planned(network: Network, station: str, view: StationView) -> Change | None:
    """What a plan for a network brings to a station; any number of nodes may go."""
    assert view.observed is not None
    profiles = network.profiles_of(station)
    wanted = with_given(root_spec(profiles), wanted_by(compile_intent(network, TODAY), network, station), view.observed)
    wanted = at_what_cells_name(root_spec(profiles), wanted, view.observed.tree, view.ledger)
    return plan_station(station, profiles, wanted, view, FREELY).change


async def all_said(folder: Path) -> StationDocuments:
    """What stations of each kind say in their life, and some of other vendors."""
    said = StationDocuments()
    shutil.copytree(TINY, folder)
    (folder / "own_cells.csv").write_text(OWN_CELLS)
    (folder / "neighbours.csv").write_text(NEIGHBOURS)
    around, network = read_network(folder), load_network(folder)
    network = with_tdd(network, "T-LTE-1/2")
    said_of_all = {"anr": True, "x2_vlan": 900, "xn_vlan": 901}
    network = network.model_copy(update={"header": network.header.model_copy(update=said_of_all)})
    for record in around.stations:
        bench = Bench(record, around, said)
        await bench.client.greeted()
        await bench.ask(SUBSCRIBE)
        await bench.plan(network, "first")
        await bench.manage(JOB, "job")
        bench.clock.advance(1800)
        await bench.renew_software()
        await bench.ask(f'<supervision-watchdog-reset xmlns="{SUPERVISION}"/>')
        await bench.fail()
        await bench.maintain()
        await bench.transact()
        await bench.plan(retuned(network), "retuned")
        last = await bench.plan(without(network, "condor"), "smaller")
        await bench.apply(undo_change(bench.profiles, last, await bench.show("before-undo")), "undo")
    for profile in ("full", "library-1.0", "report-all", "oran-fm-only", "alarm-list-only", "alarms-twice"):
        await short_life(Bench(around.stations[-1], around, said, profile), network)
    around, network = read_network(PERU), load_network(PERU)
    for name in one_of_each_kind(network):
        record = next(record for record in around.stations if record.id == name)
        await short_life(Bench(record, around, said), network)
    return said


async def short_life(bench: Bench, network: Network) -> None:
    await bench.client.greeted()
    await bench.plan(network, "first")
    await bench.fail()


def one_of_each_kind(network: Network) -> Iterable[str]:
    """Stations that differ by their profiles or the bands of their cells."""
    found = {
        (station.profiles, frozenset(cell.band for cell in network.cells_by_station[station.id])): station.id
        for station in network.stations
    }
    return found.values()


def with_tdd(network: Network, name: str) -> Network:
    """The network with one cell in an unpaired band."""
    unpaired = {"band": "B40", "arfcn_dl": 38950, "arfcn_ul": 38950}
    cells = (cell.model_copy(update=unpaired) if cell.name == name else cell for cell in network.cells)
    return network.model_copy(update={"cells": tuple(cells)})


def retuned(network: Network) -> Network:
    """Other identities of cells, tracking areas, shares and VLANs."""
    cells = (cell.model_copy(update={"pci": cell.pci + 100, "tac": cell.tac + 10}) for cell in network.cells)
    tenants = (
        tenant.model_copy(update={"core": tenant.core.model_copy(update={"vlan": tenant.core.vlan + 100})})
        for tenant in network.tenants
    )
    agreements = (agreement.model_copy(update={"shares": ()}) for agreement in network.agreements)
    return network.model_copy(
        update={"cells": tuple(cells), "tenants": tuple(tenants), "agreements": tuple(agreements)}
    )


def without(network: Network, tenant: str) -> Network:
    agreements = tuple(agreement for agreement in network.agreements if agreement.tenant != tenant)
    return network.model_copy(update={"agreements": agreements})


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> StationDocuments:
    return asyncio.run(all_said(tmp_path_factory.mktemp("said") / "network"))


def test_trees_and_edits_of_generated_networks_are_valid(tmp_path: Path) -> None:
    trees: dict[str, bytes] = {}
    edits: dict[str, bytes] = {}

    @settings(max_examples=80, database=None, phases=[Phase.generate])
    @given(sound_networks(), st.data())
    def plans(network: Network, data: st.DataObject) -> None:
        """From nothing to a network, and from there to one without a tenant."""
        smaller = without(network, data.draw(st.sampled_from(network.tenants)).id)
        for station in network.stations:
            root = root_spec(station.profiles)
            tree: Tree = {}
            ledger: dict[str, LedgerEntry] = {}
            for wanted in (network, smaller):
                view = StationView(Observed(tree, {}, ()), adopted=True, ledger=ledger)
                change = planned(wanted, station.id, view)
                if change is None:
                    continue
                for phase in change.phases:
                    for made in (phase.edits, phase.inverse):
                        edits[f"{len(edits)}"] = b"".join(map(etree.tostring, encode_edit(root, made)))
                    tree = apply_edits(root, tree, phase.edits)
                    trees[f"{len(trees)}"] = whole(root, tree)
                ledger = {node.path: LedgerEntry(station=station.id, **dict(node)) for node in change.gained}

    plans()
    assert len(trees) > 50
    lint_all("config", trees, tmp_path / "trees")
    lint_all("edit", edits, tmp_path / "edits")


def whole(root: NodeSpec, tree: Tree) -> bytes:
    """A tree as documents of all that stands at the top."""
    created = [Edit(op=Op.CREATE, path=path, after=dict(leaves), owners=("host",)) for path, leaves in tree.items()]
    config = encode_edit(root, created)
    for element in config:
        element.attrib.pop(f"{{{BASE}}}operation", "")
    return b"".join(map(etree.tostring, config))


def test_data_are_valid(said: StationDocuments, tmp_path: Path) -> None:
    old = {name: text for name, text in said.data.items() if "-library-1.0-" in name}
    new = {name: text for name, text in said.data.items() if name not in old}
    nodes = (
        "EUtranCellTDD",
        "NRSectorCarrier",
        "intersystemANRManagementSwitch",
        *("NRFreqRelation", "NRFrequency", "EUtranCellRelation", "EP_XnC", "EP_XnU", "EP_X2U"),
        *("ExternalENBFunction", "ExternalEUtranCellFDD", "ExternalEUtranCellTDD"),
        *("ExternalGNBCUCPFunction", "ExternalNRCellCU"),
        "NROperatorCellDU",
        "cellAccessInfoList",
        "EP_S1U",
        "RRMPolicyRatio",
    )
    said_of = ("alarmRecords", "active-alarms", "PerfMetricJob", "global-lock", "availabilityStatus", "counter")
    for node in (*nodes, *said_of):
        assert any(f"<{node}".encode() in text for text in new.values()), node
    assert len(old) > 3
    assert len(new) > 100
    lint_all("data", new, tmp_path / "new")
    lint_all("data", old, tmp_path / "old", OLD_LIBRARY)


def test_edits_are_valid(said: StationDocuments, tmp_path: Path) -> None:
    assert len(said.edit) > 50
    lint_all("edit", said.edit, tmp_path)


def test_notifications_are_valid(said: StationDocuments, tmp_path: Path) -> None:
    kinds = {etree.QName(etree.fromstring(text)[1]).localname for text in said.notification.values()}
    assert kinds == {
        *("alarm-notif", "download-event", "install-event", "activation-event", "supervision-notification"),
        *("netconf-config-change", "netconf-confirmed-commit", "netconf-session-start"),
    }
    lint_all("nc-notif", {name: without_targets(text) for name, text in said.notification.items()}, tmp_path)


def test_requests_are_valid(tmp_path: Path) -> None:
    """What is sent to stations beside edits, which are validated above."""
    root = root_spec(("lte-28658", "nr-28541"))
    image, slot = "sftp://minka@10.0.0.1/station.zip", "slot-b"
    operations = (
        Operation(kind=OperationKind.RESET, seconds=1),
        Operation(kind=OperationKind.DOWNLOAD, subject=image, seconds=1),
        Operation(kind=OperationKind.INSTALL, subject=slot, files=("gnb.bin",), seconds=1),
        Operation(kind=OperationKind.ACTIVATE, subject=slot, seconds=1),
    )
    sent = [
        *(requests.lock("candidate"), requests.unlock("candidate"), requests.discard_changes(), requests.commit()),
        *(requests.commit_confirmed("token", 60, follow_up) for follow_up in (None, *FollowUp)),
        *(requests.confirm("token"), requests.cancel_commit("token"), requests.kill_session("7")),
        *(requests.copy_config("running", "startup"), requests.get(*equipment_filter())),
        *(requests.get(*read_filter(root, "S1")), requests.get_config("running", *read_filter(root, "S1"))),
        *(requests.request(encode_operation(operation)) for operation in operations),
        *(requests.create_subscription(since) for since in (None, datetime(2026, 6, 15, tzinfo=UTC))),
    ]
    texts = {f"{number}-{one.name}": one.before + b"1" + one.after for number, one in enumerate(sent)}
    lint_all("nc-rpc", texts, tmp_path)


#: Operations whose replies have nothing that another module describes: configuration and state are validated as data.
ANSWERED = {
    *("commit", "create-subscription", "edit-config", "lock"),
    *("software-activate", "software-download", "software-install", "supervision-watchdog-reset"),
}


def test_replies_are_valid(said: StationDocuments, tmp_path: Path) -> None:
    assert said.reply.keys() == {"get", *ANSWERED}
    for name in sorted(ANSWERED):
        assert lint_reply(*said.reply[name], tmp_path / name) == "", name
    sent, reply = said.reply["software-download"]
    assert b">STARTED<" in reply
    assert "Invalid enumeration value" in lint_reply(sent, reply.replace(b">STARTED<", b">BEGUN<"), tmp_path / "wrong")
    assert "not found" in lint_reply(sent, reply.replace(b"status", b"state"), tmp_path / "unknown")


def lint_reply(sent: bytes, reply: bytes, folder: Path) -> str:
    """What yanglint says is wrong with the reply to an operation."""
    folder.mkdir()
    (folder / "sent.xml").write_bytes(sent)
    search = [OFFICIAL_MODULES / name for name in ("ietf", "iana", "o-ran")]
    modules = [RFC_5277, *(OFFICIAL_MODULES / "ietf" / f"{name}.yang" for name in IETF)]
    modules += [OFFICIAL_MODULES / "o-ran" / f"{name}.yang" for name in ORAN]
    more = (
        "-R",
        str(folder / "sent.xml"),
        "-O",
        str(OFFICIAL_MODULES / "examples/05-software-inventory-before-data.xml"),
    )
    return lint.yanglint("nc-reply", {"reply": reply}, folder, search, modules, more).stderr


def without_targets(text: bytes) -> bytes:
    """A notification without the edits of a change: by its YANG their targets exist, deleted ones too (RFC 6470)."""
    notification = etree.fromstring(text)
    for edit in list(notification.iter("{*}edit")):
        edit.getparent().remove(edit)  # type: ignore[union-attr]
    return etree.tostring(notification)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"<numOfAlarmRecords>", b"<numOfAlarms>"),
        (b"<gNBCUUPId>1</gNBCUUPId>", b""),
        (b"<cellState>", b"<cellState>IN"),
        (b"<fault-severity>MAJOR<", b"<fault-severity>LARGE<"),
        (b"<status>VALID<", b"<status>EMPTY<"),
    ],
    ids=["unknown node", "mandatory node", "3GPP value", "O-RAN value", "O-RAN condition"],
)
def test_what_is_wrong_is_found(said: StationDocuments, tmp_path: Path, right: bytes, wrong: bytes) -> None:
    text = said.data["T-BOTH-1-standard-broken"]
    assert right in text
    with pytest.raises(AssertionError, match="libyang err"):
        lint_all("data", {"wrong": text.replace(right, wrong, 1)}, tmp_path)


def lint_all(kind: str, documents: dict[str, bytes], folder: Path, library: Path = LIBRARY) -> None:
    """Validate with yanglint; notifications and operations name slots of a station."""
    ours = folder / "ours"
    ours.mkdir(parents=True)
    for path in lint.SIMULATED_MODULES.glob("minka-*.yang"):
        shutil.copy(path, ours)
    # Its condition that a time-out names no session starts from the notification, and yanglint finds no node there.
    text = (OFFICIAL_MODULES / "ietf" / RFC_6470).read_text().replace("../confirm-event != ", "confirm-event != ")
    (ours / RFC_6470).write_text(text)
    modules = [OFFICIAL_MODULES / line for line in (OFFICIAL_MODULES / "load-3gpp.txt").read_text().split()]
    modules += [OFFICIAL_MODULES / "3gpp" / f"_3gpp-nr-nrm-{name}.yang" for name in MORE]
    modules += [OFFICIAL_MODULES / "ietf" / f"{name}.yang" for name in IETF]
    modules += [OFFICIAL_MODULES / "o-ran" / f"{name}.yang" for name in ORAN]
    search = [*(OFFICIAL_MODULES / name for name in ("3gpp", "ietf", "iana", "o-ran")), ours]
    more: tuple[str, ...] = ()
    if kind in ("config", "data"):
        documents = {name: text + USERS.read_bytes() for name, text in documents.items()}
    elif kind in ("nc-notif", "nc-rpc"):
        more = ("-O", str(OFFICIAL_MODULES / "examples/05-software-inventory-before-data.xml"))
    modules += [RFC_5277] if kind == "nc-rpc" else []
    result = lint.yanglint(kind, documents, folder, search, [*modules, library, *sorted(ours.iterdir())], more)
    assert result.returncode == 0, result.stderr
