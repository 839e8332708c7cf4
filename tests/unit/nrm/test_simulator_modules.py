"""What we write is valid under the modules of our simulated stations."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from tests.unit.nrm import lint, samples
from tests.unit.nrm.lint import SIMULATED_MODULES, document
from tests.unit.nrm.samples import BOTH

MODULES = (
    "_3gpp-nr-nrm-danrmanagementfunction",
    "_3gpp-nr-nrm-ep",
    "_3gpp-nr-nrm-eutrancellrelation",
    "_3gpp-nr-nrm-eutranetwork",
    "_3gpp-nr-nrm-externalenbfunction",
    "_3gpp-nr-nrm-externaleutrancell",
    "_3gpp-nr-nrm-externalgnbcucpfunction",
    "_3gpp-nr-nrm-externalnrcellcu",
    "_3gpp-nr-nrm-nrcellrelation",
    "_3gpp-nr-nrm-nrfreqrelation",
    "_3gpp-nr-nrm-nrfrequency",
    "_3gpp-nr-nrm-nrnetwork",
    "_3gpp-nr-nrm-nroperatorcelldu",
    "_3gpp-nr-nrm-nrsectorcarrier",
    "_3gpp-nr-nrm-rrmpolicy",
    "minka-ep-state",
    "minka-eutran-nrm",
)


@pytest.mark.needs("yanglint")
@pytest.mark.parametrize("profiles", [("lte-28658",), ("nr-28541",), BOTH], ids="+".join)
@pytest.mark.parametrize("own", [(), ("bitel", "claro")], ids=["shared", "own identities"])
def test_rendered_trees_are_valid_configurations(
    profiles: tuple[str, ...], own: tuple[str, ...], tmp_path: Path
) -> None:
    modules = [SIMULATED_MODULES / f"{name}.yang" for name in MODULES]
    tree = document(profiles, samples.TENANTS, own)
    result = lint.yanglint("config", {"tree": etree.tostring(tree)}, tmp_path, [SIMULATED_MODULES], modules)
    assert result.returncode == 0, result.stderr
