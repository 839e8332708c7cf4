"""Order of files and rows changes nothing; what is written is what is read."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.inventory.load import load_network
from controller.inventory.write import render_network
from controller.models.network import Network
from tests.support.network_files import write_network
from tests.unit.inventory.files import FILES, write

_MINI = Path("deploy/networks/peru-mini")
_BULK = sorted(name for name in FILES if name.endswith(".csv"))
_NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).filter(str.strip)


def _spread(directory: Path, data: st.DataObject) -> None:
    """Deal the rows of every CSV file, in any order, over files in three folders."""
    for name in _BULK:
        head, *rows = FILES[name].splitlines(keepends=True)
        shuffled = data.draw(st.permutations(rows))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), min_size=2, max_size=2)))
        (directory / name).unlink()
        for folder, part in zip(
            "abc", (shuffled[: cuts[0]], shuffled[cuts[0] : cuts[1]], shuffled[cuts[1] :]), strict=True
        ):
            (directory / folder).mkdir(exist_ok=True)
            (directory / folder / name).write_text(head + "".join(part))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_order_of_files_and_rows_does_not_matter(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        expected = load_network(write(Path(folder)))
        _spread(Path(folder), data)

        assert load_network(Path(folder)) == expected


@settings(max_examples=60, deadline=None)
@given(
    name=_NAMES, latitude=st.floats(-90, 90), width=st.sampled_from([3.0, 5.0, 10.0, 15.0]), everywhere=st.booleans()
)
def test_what_is_written_is_read_again(name: str, latitude: float, width: float, everywhere: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = load_network(write(Path(folder) / "base"))
        site = base.sites[0].model_validate(base.sites[0].model_dump() | {"name": name, "latitude": latitude})
        cell = base.cells[0].model_copy(update={"bandwidth_mhz": width})
        scope = base.agreements[0].scope.model_copy(update={"everywhere": everywhere})
        agreement = base.agreements[0].model_copy(update={"scope": scope})
        network = base.model_copy(
            update={
                "sites": (site, *base.sites[1:]),
                "cells": (cell, *base.cells[1:]),
                "agreements": (agreement, *base.agreements[1:]),
            }
        )
        write_network(network, Path(folder) / "written")

        assert _content(load_network(Path(folder) / "written")) == _content(network)
        assert render_network(load_network(Path(folder) / "written")) == render_network(network)


def _content(network: Network) -> dict[str, object]:
    return network.model_dump()


def test_the_sample_network_survives_writing(tmp_path: Path) -> None:
    network = load_network(_MINI)
    write_network(network, tmp_path)

    assert load_network(tmp_path) == network
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in _MINI.iterdir()}
