"""What we write is valid under the official 3GPP modules, which can't be shipped (see tests/conftest.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from controller.models.plan import Edit, Op
from controller.nrm import namespaces as ns
from controller.nrm.codec import encode_edit
from controller.nrm.profiles import render, root_spec
from tests.conftest import OFFICIAL_MODULES
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, LTE_CELLS, NR_CELLS

pytestmark = pytest.mark.needs("yanglint")

REPOSITORY = Path(__file__).parents[3]
EDITS = sorted((REPOSITORY / "tests/conformance/edit_config").glob("*/output.xml"))


def yanglint(kind: str, document: etree._Element, folder: Path) -> subprocess.CompletedProcess[str]:
    """Validate a ManagedElement as configuration (``config``) or edit (``edit``)."""
    path = folder / "document.xml"
    path.write_bytes(etree.tostring(document))
    search = [f"-p{OFFICIAL_MODULES / name}" for name in ("3gpp", "ietf", "iana", "local")]
    modules = [str(OFFICIAL_MODULES / line) for line in (OFFICIAL_MODULES / "load-3gpp.txt").read_text().split()]
    modules += [
        str(OFFICIAL_MODULES / "ietf/ietf-netconf@2011-06-01.yang"),
        str(OFFICIAL_MODULES / "local/vran-3gpp-deviations.yang"),
        str(REPOSITORY / "simulators/yang/minka-eutran-nrm.yang"),
    ]
    command = ["yanglint", *search, "-t", kind, *modules, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def document(profiles: tuple[str, ...], tenants: tuple[str, ...]) -> etree._Element:
    """A rendered tree as a whole configuration."""
    cells = (LTE_CELLS if "lte-28658" in profiles else ()) + (NR_CELLS if "nr-28541" in profiles else ())
    rendered = render(profiles, samples.station_facts(cells, tenants))
    edits = [
        Edit(op=Op.CREATE, path=path, after=dict(leaves), owners=rendered.owners[path])
        for path, leaves in rendered.tree.items()
    ]
    element = encode_edit(root_spec(profiles), edits)[0]
    del element.attrib[f"{{{ns.NETCONF}}}operation"]
    return element


@pytest.mark.parametrize("tenants", [("movistar",), samples.TENANTS], ids=len)
@pytest.mark.parametrize("profiles", [("lte-28658",), ("nr-28541",), BOTH], ids="+".join)
def test_rendered_trees_are_valid_configurations(
    profiles: tuple[str, ...], tenants: tuple[str, ...], tmp_path: Path
) -> None:
    result = yanglint("config", document(profiles, tenants), tmp_path)
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
