"""Numbered cases: what a station has, what it should have and our ledger in; change, reason and findings out.

To write the expected files again after a wanted change: MINKA_REGENERATE=1 pytest tests/conformance/plan
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from controller.models.plan import Change, LedgerNode
from controller.models.run import LedgerEntry
from controller.nrm.profiles import Rendered, root_spec
from controller.nrm.tree import Observed
from controller.plan import PlanOptions, StationView, ledger_nodes, plan_station

CASES = sorted(path for path in Path(__file__).parent.glob("[0-9][0-9]-*") if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan(case: Path) -> None:
    given = json.loads((case / "input.json").read_text(encoding="utf-8"))
    profiles, station = tuple(given["profiles"]), given["station"]
    wanted = given["desired"]
    rendered = Rendered(
        tree={path: _leaves(entry["leaves"]) for path, entry in wanted.items()},
        owners={path: tuple(entry["owners"]) for path, entry in wanted.items()},
        findings=(),
    )
    known = {node.path: node for node in ledger_nodes(root_spec(profiles), rendered)}
    view = StationView(
        observed=Observed(given["observed"], given["state"], tuple(given.get("unknown", ()))),
        adopted=given.get("adopted", True),
        ledger={path: _entry(station, path, tuple(owners), known) for path, owners in given["ledger"].items()},
    )
    options = PlanOptions(
        remove=given.get("remove", {}),
        under_hold=frozenset(given.get("held", ())),
        automatic=given.get("automatic", False),
    )
    result = plan_station(station, profiles, rendered, view, options)
    text = json.dumps(
        {
            "change": result.change and result.change.model_dump(mode="json", exclude_defaults=True),
            "reason": result.reason,
            "findings": [asdict(finding) for finding in result.findings],
        },
        indent=1,
        ensure_ascii=False,
    )
    if os.environ.get("MINKA_REGENERATE"):
        (case / "output.json").write_text(text + "\n", encoding="utf-8")
    assert (case / "output.json").read_text(encoding="utf-8") == text + "\n"
    if result.change:
        _is_readable(json.loads(text)["change"], result.change)


def _entry(station: str, path: str, owners: tuple[str, ...], known: Mapping[str, LedgerNode]) -> LedgerEntry:
    """A node that was applied as it is wanted now."""
    node = known.get(path, LedgerNode(path=path, owners=owners))
    return LedgerEntry(station=station, **{**dict(node), "owners": owners})


def _leaves(given: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _is_readable(dumped: dict[str, Any], change: Change) -> None:
    assert Change.model_validate(dumped) == change


def test_there_are_cases() -> None:
    assert len(CASES) >= 10
