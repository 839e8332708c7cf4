"""What a whole configuration must hold."""

from __future__ import annotations

import pytest

from simulators.datastore import Config, RpcErrors, load_schema
from tests.unit.simulators.datastore.documents import ELEMENT, cell_edit, edit, enb, gnb, lte_edit, slice_info


def found(config: Config) -> list[tuple[str, str | None, str]]:
    with pytest.raises(RpcErrors) as caught:
        config.validate()
    return [(error.tag, error.app_tag, str(error.path).rpartition("/")[2]) for error in caught.value.errors]


def test_the_samples_are_complete() -> None:
    gnb().validate()
    enb().validate()
    Config.empty(load_schema()).validate()


def test_mandatory_leaves_all_in_one_reply() -> None:
    config = gnb().edit(cell_edit('<nRPCI nc:operation="delete"/><arfcnDL nc:operation="delete"/>'), "none")
    assert found(config) == [
        ("data-missing", None, "nrcelldu3gpp:nRPCI"),
        ("data-missing", None, "nrcelldu3gpp:arfcnDL"),
    ]


def test_mandatory_leaves_of_a_container_that_is_absent() -> None:
    config = Config.from_xml(load_schema(), f'<ManagedElement xmlns="{ELEMENT}"><id>X</id></ManagedElement>'.encode())
    assert found(config) == [("data-missing", None, "me3gpp:priorityLabel")]


def test_min_elements() -> None:
    config = gnb()
    for mnc in ("10", "06"):
        config = config.edit(cell_edit(slice_info("pLMNInfoList", mnc, attributes='nc:operation="delete"')), "none")
    assert found(config) == [("operation-failed", "too-few-elements", "nrcelldu3gpp:pLMNInfoList")]


def test_min_elements_of_a_leaf_list() -> None:
    dn = "ManagedElement=PE-1,GNBDUFunction=1,NRSectorCarrier=1"
    config = gnb().edit(cell_edit(f'<nRSectorCarrierRef nc:operation="delete">{dn}</nRSectorCarrierRef>'), "none")
    assert found(config) == [("operation-failed", "too-few-elements", "nrcelldu3gpp:nRSectorCarrierRef")]


def test_six_plmns_and_no_more() -> None:
    config = enb()
    for mnc in ("01", "02", "03", "04"):
        config = config.edit(lte_edit(f"<plmnIdList><mcc>716</mcc><mnc>{mnc}</mnc></plmnIdList>"))
    config.validate()
    seventh = config.edit(lte_edit("<plmnIdList><mcc>716</mcc><mnc>05</mnc></plmnIdList>"))
    assert found(seventh) == [("operation-failed", "too-many-elements", "eutran:plmnIdList")]


def test_must() -> None:
    config = enb().edit(lte_edit("<plmnIdList><mcc>716</mcc><mnc>15</mnc></plmnIdList>"))
    assert found(config) == [
        ("operation-failed", "must-violation", "eutran:cellAccessInfoList[eutran:mcc='716'][eutran:mnc='15']")
    ]


def test_state_is_not_asked_for() -> None:
    """gNBCUUPId is mandatory state; a configuration can't have it."""
    content = '<GNBCUUPFunction xmlns="urn:3gpp:sa5:_3gpp-nr-nrm-gnbcuupfunction"><id>1</id></GNBCUUPFunction>'
    config = gnb().edit(edit(f'<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id>{content}</ManagedElement>'))
    config.validate()
