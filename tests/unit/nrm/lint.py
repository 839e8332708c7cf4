"""Validation by yanglint, which nobody here wrote."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lxml import etree

from controller.drivers.netconf.codec import encode_edit
from controller.models.network import ResourceType
from controller.nrm import namespaces as ns
from controller.nrm.profiles import Rendered, render, root_spec
from tests.unit.nrm import samples
from tests.unit.nrm.samples import LTE_CELLS, NR_CELLS

REPOSITORY = Path(__file__).parents[3]
SIMULATED_MODULES = REPOSITORY / "simulators" / "yang"


def yanglint(
    kind: str,
    documents: Mapping[str, bytes],
    folder: Path,
    search: Sequence[Path],
    modules: Sequence[Path],
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Validate documents of a kind of yanglint's (``config``, ``data``, ``edit`` …), writing them into ``folder``."""
    paths = [folder / f"{name}.xml" for name in documents]
    for path, text in zip(paths, documents.values(), strict=True):
        path.write_bytes(text)
    command = ["yanglint", *(f"-p{each}" for each in search), "-t", kind, *options, *map(str, [*modules, *paths])]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def document(profiles: tuple[str, ...], tenants: tuple[str, ...], own: tuple[str, ...] = ()) -> etree._Element:
    """A rendered tree as a whole configuration; tenants in ``own`` have identities of their own.

    Of each second cell, files say power, PRACH root and SSB; they switch ANR.
    """
    cells = (LTE_CELLS if "lte-28658" in profiles else ()) + (NR_CELLS if "nr-28541" in profiles else ())
    cells = tuple(samples.planned(each) if number % 2 else each for number, each in enumerate(cells))
    facts = [samples.station(anr=False), *samples.station_facts(cells, tenants, own)[1:]]
    if "nr-28541" in profiles:
        facts += (
            samples.share(each, tenants[0], kind) for each in NR_CELLS for kind in (ResourceType.RRC, ResourceType.DRB)
        )
    return configuration(profiles, render(profiles, facts))


def configuration(profiles: tuple[str, ...], rendered: Rendered) -> etree._Element:
    """A tree as a whole configuration, with the start values of what is new."""
    element = encode_edit(root_spec(profiles), samples.creates(profiles, rendered))[0]
    del element.attrib[f"{{{ns.NETCONF}}}operation"]
    return element
