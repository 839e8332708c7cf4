"""What a simulated station's datastore costs: python -m tests.benchmarks.bench_datastore."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections.abc import Callable

from lxml import etree

from simulators.datastore import Config, Schema, load_schema
from tests.unit.simulators.datastore.documents import (
    CELL_CU,
    CELL_DU,
    CUCP,
    DU,
    ELEMENT,
    ENB,
    EUTRAN,
    GNB,
    NETCONF,
    edit,
    link,
    policy,
    slice_info,
)

ROUNDS = 500
STATIONS = 2000

_CREATE = 'nc:operation="create"'


def add_tenant_nr() -> etree._Element:
    """A fourth tenant on both cells: PLMN in CU and DU, a policy, a core link."""
    du = "".join(
        f"""<NRCellDU xmlns="{CELL_DU}"><id>n78-{cell}</id><attributes>
        {slice_info("pLMNInfoList", "15", attributes=_CREATE)}</attributes>
        {policy("bitel", "15", 10).replace("<RRMPolicyRatio", f"<RRMPolicyRatio {_CREATE}")}</NRCellDU>"""
        for cell in (1, 2)
    )
    cu = "".join(
        f"""<NRCellCU xmlns="{CELL_CU}"><id>n78-{cell}</id><attributes>
        {slice_info("pLMNInfoList", "15", attributes=_CREATE)}</attributes></NRCellCU>"""
        for cell in (1, 2)
    )
    core = link("bitel", "EP_NgC", 103, "10.40.1.10").replace("<EP_NgC", f"<EP_NgC {_CREATE}")
    return edit(
        f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id>
        <GNBCUCPFunction xmlns="{CUCP}"><id>1</id>{cu}{core}</GNBCUCPFunction>
        <GNBDUFunction xmlns="{DU}"><id>1</id>{du}</GNBDUFunction></ManagedElement>"""
    )


def add_tenant_lte() -> etree._Element:
    """A third tenant on the cell: PLMN, radio share, a core link."""
    return edit(
        f"""<ManagedElement xmlns="{ELEMENT}"><id>PE-2</id><ENBFunction xmlns="{EUTRAN}"><id>1</id>
        <EUtranCellFDD><id>1</id><attributes>
        <plmnIdList {_CREATE}><mcc>716</mcc><mnc>17</mnc></plmnIdList>
        <plmnRadioShareList {_CREATE}><mcc>716</mcc><mnc>17</mnc><minRatio>10</minRatio></plmnRadioShareList>
        </attributes></EUtranCellFDD>
        <EP_S1C {_CREATE}><id>entel-mme1</id><attributes>
        <localAddress><ipAddress>10.99.2.1</ipAddress><vlanId>102</vlanId></localAddress>
        <remoteAddress>10.30.2.10</remoteAddress><servedPlmnList><mcc>716</mcc><mnc>17</mnc></servedPlmnList>
        </attributes></EP_S1C></ENBFunction></ManagedElement>"""
    )


def filter_of_cells() -> etree._Element:
    """State of all NR cells, as the controller asks for it."""
    return etree.fromstring(
        f"""<filter xmlns="{NETCONF}"><ManagedElement xmlns="{ELEMENT}"><GNBDUFunction xmlns="{DU}"><id/>
        <NRCellDU xmlns="{CELL_DU}"><id/><attributes><administrativeState/><pLMNInfoList/></attributes></NRCellDU>
        </GNBDUFunction></ManagedElement></filter>"""
    )


def milliseconds(action: Callable[[], object]) -> float:
    """CPU time of one call, in milliseconds, the mean of many."""
    begin = time.process_time()
    for _ in range(ROUNDS):
        action()
    return (time.process_time() - begin) / ROUNDS * 1000


def kilobytes_each(make: Callable[[int], Config]) -> float:
    """Memory of one of many configurations that are kept, in kB."""
    gc.collect()
    tracemalloc.start()
    kept = [make(number) for number in range(STATIONS)]
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (size - sys.getsizeof(kept)) / STATIONS / 1000


def measure(schema: Schema, document: str, tenant: etree._Element) -> None:
    """Print times and memory for one kind of station."""
    text = document.encode()
    config = Config.from_xml(schema, text)
    changed = config.edit(tenant, "none")
    changed.validate()
    wanted = filter_of_cells()
    for label, action in (
        ("edit-config that adds a tenant", lambda: config.edit(tenant, "none")),
        ("validate", changed.validate),
        ("all as text", changed.to_text),
        ("filter on the cells", lambda: changed.to_text(filter=wanted)),
        ("from XML", lambda: Config.from_xml(schema, text)),
    ):
        print(f"  {label}: {milliseconds(action):.2f} ms CPU")
    for label, make in (
        ("a configuration all of which is shared", lambda _: config.edit(edit(""))),
        ("one changed by the edit", lambda _: config.edit(tenant, "none")),
        ("one that shares nothing", lambda n: Config.from_xml(schema, text.replace(b"PE-", f"P{n}-".encode()))),
    ):
        print(f"  {label}: {kilobytes_each(make):.2f} kB")


def main() -> None:
    """Print start-up, times of operations, and memory of configurations."""
    begin = time.process_time()
    schema = load_schema()
    print(f"schema of all profiles: {(time.process_time() - begin) * 1000:.0f} ms CPU, once per process")
    print(f"gNB, 2 cells, {len(GNB) / 1000:.1f} kB of XML")
    measure(schema, GNB, add_tenant_nr())
    print(f"eNB, 1 cell, {len(ENB) / 1000:.1f} kB of XML")
    measure(schema, ENB, add_tenant_lte())


if __name__ == "__main__":
    main()
