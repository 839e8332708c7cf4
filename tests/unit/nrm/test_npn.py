"""Lists that are kept as one value: what a server demands of a cell, without nodes of its own in the tree."""

from __future__ import annotations

from lxml import etree

from controller.drivers.netconf.codec import decode, encode_edit
from controller.models.network import Plmn
from controller.models.plan import Edit, Op
from controller.nrm import namespaces as ns
from controller.nrm.profiles import npn, root_spec
from controller.nrm.profiles.values import instant
from controller.nrm.tree import child

ROOT = root_spec(("nr-28541",))
CELL = child(child(child("", "ManagedElement", "S"), "GNBDUFunction", "1"), "NRCellDU", "1")
#: Of a cell that does serve non-public networks.
FOREIGN = f"""
<ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>S</id>
  <GNBDUFunction xmlns="{ns.GNBDU_FUNCTION}"><id>1</id>
    <NRCellDU xmlns="{ns.NR_CELL_DU}"><id>1</id><attributes>
      <nPNIdentityList><idx>7</idx><plmnid><mcc>716</mcc><mnc>15</mnc></plmnid><plmnid><mcc>716</mcc><mnc>06</mnc></plmnid>
        <cAGIdList>a "b" &lt;c&gt;</cAGIdList><nIDList/></nPNIdentityList>
      <nPNIdentityList><idx>8</idx><plmnid><mcc>716</mcc><mnc>06</mnc></plmnid><cAGIdList/><nIDList>9</nIDList></nPNIdentityList>
      <rimRSMonitoringStartTime>2025-01-01T01:00:00+01:00</rimRSMonitoringStartTime>
    </attributes></NRCellDU>
  </GNBDUFunction>
</ManagedElement>"""


def test_entries_of_others_come_back_as_they_were() -> None:
    """As where a cell that was deleted is made again."""
    seen = decode(ROOT, etree.fromstring(FOREIGN), "S")
    assert seen.unknown == ()
    leaves = seen.tree[CELL]
    assert len(leaves["nPNIdentityList"]) == 2
    edit = Edit(op=Op.CREATE, path=CELL, after=dict(leaves), owners=("host",))
    config = encode_edit(ROOT, [edit])
    assert decode(ROOT, config[0], "S").tree[CELL] == leaves
    (first, second) = config.iter(f"{{{ns.NR_CELL_DU}}}nPNIdentityList")
    assert [etree.QName(leaf).localname for leaf in first] == ["idx", "plmnid", "plmnid", "cAGIdList", "nIDList"]
    assert first.findtext("{*}cAGIdList") == 'a "b" <c>'
    assert second.findtext("{*}nIDList") == "9"


def test_what_we_write_reads_the_same_however_it_is_spelled() -> None:
    text = npn.of_nobody(Plmn("716-06"))
    element = etree.fromstring(
        f'<nPNIdentityList xmlns="{ns.NR_CELL_DU}"><idx> 0 </idx><plmnid><mcc>716</mcc><mnc> 06</mnc></plmnid>'
        "<nIDList></nIDList></nPNIdentityList>"
    )
    assert npn.ENTRY.read(element) == text


def test_points_in_time_are_compared_in_utc() -> None:
    """libyang gives back times of unknown offset."""
    assert {
        instant(text) for text in ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00-00:00", " 2000-01-01T01:00:00+01:00")
    } == {"2000-01-01T00:00:00Z"}
    assert instant("soon") == "soon"
