"""Numbered cases: profiles and edits in, the config of an edit-config out.

To write the expected files again after a wanted change: MINKA_REGENERATE=1 pytest tests/conformance/edit_config
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from lxml import etree

from controller.drivers.netconf.codec import encode_edit
from controller.models.plan import Edit
from controller.nrm.profiles import root_spec

CASES = sorted(path for path in Path(__file__).parent.glob("[0-9][0-9]-*") if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_edit_config(case: Path) -> None:
    given = json.loads((case / "input.json").read_text(encoding="utf-8"))
    edits = [Edit.model_validate(edit) for edit in given["edits"]]
    config = encode_edit(root_spec(tuple(given["profiles"])), edits)
    text = etree.tostring(config, pretty_print=True, encoding="unicode")
    if os.environ.get("MINKA_REGENERATE"):
        (case / "output.xml").write_text(text, encoding="utf-8")
    assert (case / "output.xml").read_text(encoding="utf-8") == text


def test_there_are_cases() -> None:
    assert len(CASES) >= 10
