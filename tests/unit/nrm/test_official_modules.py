"""What we write is valid under the official 3GPP modules, which can't be shipped (see tests/conftest.py)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from controller.intent import compile_intent
from controller.models.network import Network
from controller.nrm import namespaces as ns
from controller.nrm.profiles import render
from tests.conftest import OFFICIAL_MODULES
from tests.unit.intent.clouds import split_gnb
from tests.unit.nrm import lint, samples
from tests.unit.nrm.lint import document
from tests.unit.nrm.samples import BOTH

pytestmark = pytest.mark.needs("yanglint")

NR = ("nr-28541",)
MORE = (
    *("danrmanagementfunction", "eutrancellrelation", "nrcellrelation"),
    *("nrfreqrelation", "nrfrequency", "nrnetwork", "eutranetwork", "externalenbfunction", "externaleutrancell"),
    *("externalgnbcucpfunction", "externalnrcellcu"),
)
EDITS = sorted((lint.REPOSITORY / "tests/conformance/edit_config").glob("*/output.xml"))


def yanglint(kind: str, documents: Mapping[str, etree._Element], folder: Path) -> subprocess.CompletedProcess[str]:
    """Validate under the official modules, without any deviation, and our LTE module."""
    search = [OFFICIAL_MODULES / name for name in ("3gpp", "ietf", "iana")]
    modules = [OFFICIAL_MODULES / line for line in (OFFICIAL_MODULES / "load-3gpp.txt").read_text().split()]
    modules += [
        *(OFFICIAL_MODULES / f"3gpp/_3gpp-nr-nrm-{name}.yang" for name in MORE),
        OFFICIAL_MODULES / "ietf/ietf-netconf@2011-06-01.yang",
        lint.SIMULATED_MODULES / "minka-eutran-nrm.yang",
    ]
    texts = {name: etree.tostring(document) for name, document in documents.items()}
    return lint.yanglint(kind, texts, folder, search, modules)


def test_rendered_trees_are_valid_configurations(tmp_path: Path) -> None:
    trees = {
        f"{'+'.join(profiles)}-{len(tenants)}": document(profiles, tenants)
        for profiles in (("lte-28658",), ("nr-28541",), BOTH)
        for tenants in (("movistar",), samples.TENANTS)
    }
    result = yanglint("config", trees, tmp_path)
    assert result.returncode == 0, result.stderr


def test_parts_of_a_gnb_are_valid_configurations(tmp_path: Path) -> None:
    draft = split_gnb().model_dump(mode="json")
    for agreement in draft["agreements"]:
        agreement["shares"] = [{"resource": kind, "min": 20} for kind in ("PRB", "RRC", "DRB")]
    way = {"station": "S1", "cell": "n78-1", "neighbour_station": "S2", "neighbour_cell": "n78-1"}
    network = Network.model_validate(draft | {"neighbours": [way]})
    facts = compile_intent(network, date(2026, 6, 15)).facts
    trees = {name: lint.configuration(NR, render(NR, its)) for name, its in facts.items()}
    assert set(trees) == {"CP-E", "UP-E", "UP-B-E", "S1", "S2"}
    assert {len(list(trees[name].iter("{*}EP_E1"))) for name in ("CP-E", "UP-E")} == {2, 1}
    assert len(list(trees["S1"].iter("{*}EP_F1U"))) == 2
    result = yanglint("config", trees, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("profiles", [("lte-28658",), ("nr-28541",)], ids="+".join)
def test_identities_of_tenants_own_are_valid_configurations(profiles: tuple[str, ...], tmp_path: Path) -> None:
    tree = document(profiles, samples.TENANTS, ("bitel", "claro"))
    name = "cellAccessInfoList" if profiles == ("lte-28658",) else "NROperatorCellDU"
    assert len(list(tree.iter(f"{{*}}{name}"))) == 4
    result = yanglint("config", {"tree": tree}, tmp_path)
    assert result.returncode == 0, result.stderr


def test_edits_are_valid(tmp_path: Path) -> None:
    assert len(EDITS) > 10
    result = yanglint("edit", {path.parent.name: etree.parse(path).getroot()[0] for path in EDITS}, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("kind", ["config", "edit"])
def test_what_is_wrong_is_found(kind: str, tmp_path: Path) -> None:
    element = document(BOTH, samples.TENANTS)
    (pci, *_) = element.iter(f"{{{ns.EUTRAN}}}pci")
    pci.text = "504"
    assert yanglint(kind, {"tree": element}, tmp_path).returncode != 0
    pci.text = "503"
    assert yanglint(kind, {"tree": element}, tmp_path).returncode == 0
    pci.tag = f"{{{ns.EUTRAN}}}pcii"
    assert yanglint(kind, {"tree": element}, tmp_path).returncode != 0


def test_a_cell_without_plmn_is_no_valid_configuration(tmp_path: Path) -> None:
    element = document(("lte-28658",), ("movistar",))
    (plmn, *_) = element.iter(f"{{{ns.EUTRAN}}}plmnIdList")
    attributes = plmn.getparent()
    assert attributes is not None
    attributes.remove(plmn)
    assert yanglint("config", {"tree": element}, tmp_path).returncode != 0
