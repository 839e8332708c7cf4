"""A device that writes ``sd`` in another way is spoken to in its own way (Rel-18 writes 00:00:d1)."""

from __future__ import annotations

import pytest
from lxml import etree

from controller.drivers.netconf.codec import decode, encode_edit
from controller.models.plan import Edit, Op
from controller.nrm.profiles import root_spec
from controller.nrm.tree import child

ROOT = root_spec(("nr-28541",))
DU = "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu"


def _document(sd: str) -> bytes:
    return f"""<ManagedElement xmlns="urn:3gpp:sa5:_3gpp-common-managed-element"><id>S</id>
      <GNBDUFunction xmlns="urn:3gpp:sa5:_3gpp-nr-nrm-gnbdufunction"><id>1</id>
        <NRCellDU xmlns="{DU}"><id>n78-1</id><attributes>
          <pLMNInfoList><mcc>716</mcc><mnc>06</mnc><sd>{sd}</sd><sst>1</sst></pLMNInfoList>
          <pLMNInfoList><mcc>716</mcc><mnc>10</mnc><sd>001001</sd><sst>1</sst></pLMNInfoList>
        </attributes></NRCellDU></GNBDUFunction></ManagedElement>""".encode()


@pytest.mark.parametrize("sd", ["0000d1", "00:00:d1", "00:00:D1"])
def test_an_entry_is_deleted_by_its_own_spelling(sd: str) -> None:
    observed = decode(ROOT, _document(sd), "S")
    cell = child(child(child("", "ManagedElement", "S"), "GNBDUFunction", "1"), "NRCellDU", "n78-1")
    path = child(cell, "pLMNInfoList", "716", "06", "0000D1", "1")
    assert path in observed.tree
    assert observed.spelled == {path: ("716", "06", sd, "1")}
    edit = Edit(op=Op.DELETE, path=path, owners=("movistar",))
    config = encode_edit(ROOT, [edit], observed.spelled)
    assert config.findtext(f".//{{{DU}}}sd") == sd
    assert encode_edit(ROOT, [edit]).findtext(f".//{{{DU}}}sd") == "0000D1"


def test_a_new_entry_goes_behind_a_sibling_by_its_spelling() -> None:
    observed = decode(ROOT, _document("00:00:d1"), "S")
    (sibling,) = observed.spelled
    new = sibling.replace("716,06", "716,15")
    edit = Edit(op=Op.CREATE, path=new, owners=("bitel",), after_sibling=sibling)
    config = encode_edit(ROOT, [edit], observed.spelled)
    entry = config.find(f".//{{{DU}}}pLMNInfoList")
    assert entry is not None
    assert "00:00:d1" in (entry.get("{urn:ietf:params:xml:ns:yang:1}key") or "")
    assert etree.tostring(config).count(b"0000D1") == 1


def test_the_canonical_spelling_needs_no_note() -> None:
    assert decode(ROOT, _document("0000D1"), "S").spelled == {}
