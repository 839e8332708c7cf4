"""What we write is valid under the official 3GPP modules, which can't be shipped (see tests/conftest.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from controller.nrm import namespaces as ns
from tests.conftest import OFFICIAL_MODULES
from tests.unit.nrm import lint, samples
from tests.unit.nrm.lint import document
from tests.unit.nrm.samples import BOTH

pytestmark = pytest.mark.needs("yanglint")

EDITS = sorted((lint.REPOSITORY / "tests/conformance/edit_config").glob("*/output.xml"))


def yanglint(kind: str, document: etree._Element, folder: Path) -> subprocess.CompletedProcess[str]:
    """Validate under the official modules, without any deviation, and our LTE module."""
    search = [OFFICIAL_MODULES / name for name in ("3gpp", "ietf", "iana")]
    modules = [OFFICIAL_MODULES / line for line in (OFFICIAL_MODULES / "load-3gpp.txt").read_text().split()]
    modules += [
        OFFICIAL_MODULES / "ietf/ietf-netconf@2011-06-01.yang",
        lint.SIMULATED_MODULES / "minka-eutran-nrm.yang",
    ]
    return lint.yanglint(kind, document, folder, search, modules)


@pytest.mark.parametrize("tenants", [("movistar",), samples.TENANTS], ids=len)
@pytest.mark.parametrize("profiles", [("lte-28658",), ("nr-28541",), BOTH], ids="+".join)
def test_rendered_trees_are_valid_configurations(
    profiles: tuple[str, ...], tenants: tuple[str, ...], tmp_path: Path
) -> None:
    result = yanglint("config", document(profiles, tenants), tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("profiles", [("lte-28658",), ("nr-28541",)], ids="+".join)
def test_identities_of_tenants_own_are_valid_configurations(profiles: tuple[str, ...], tmp_path: Path) -> None:
    tree = document(profiles, samples.TENANTS, ("bitel", "claro"))
    name = "cellAccessInfoList" if profiles == ("lte-28658",) else "NROperatorCellDU"
    assert len(list(tree.iter(f"{{*}}{name}"))) == 4
    result = yanglint("config", tree, tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", EDITS, ids=lambda path: path.parent.name)
def test_edits_are_valid(path: Path, tmp_path: Path) -> None:
    result = yanglint("edit", etree.parse(path).getroot()[0], tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("kind", ["config", "edit"])
def test_what_is_wrong_is_found(kind: str, tmp_path: Path) -> None:
    element = document(BOTH, samples.TENANTS)
    (pci, *_) = element.iter(f"{{{ns.EUTRAN}}}pci")
    pci.text = "504"
    assert yanglint(kind, element, tmp_path).returncode != 0
    pci.text = "503"
    assert yanglint(kind, element, tmp_path).returncode == 0
    pci.tag = f"{{{ns.EUTRAN}}}pcii"
    assert yanglint(kind, element, tmp_path).returncode != 0


def test_a_cell_without_plmn_is_no_valid_configuration(tmp_path: Path) -> None:
    element = document(("lte-28658",), ("movistar",))
    (plmn, *_) = element.iter(f"{{{ns.EUTRAN}}}plmnIdList")
    attributes = plmn.getparent()
    assert attributes is not None
    attributes.remove(plmn)
    assert yanglint("config", element, tmp_path).returncode != 0
