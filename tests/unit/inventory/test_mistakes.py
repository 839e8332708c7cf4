"""Every kind of mistake in network files: what the loader says, to the letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.inventory.files import changed, problems

_MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mistake", _MISTAKES, ids=lambda mistake: f"{mistake['file']}: {mistake['now']}")
def test_says_what_is_wrong_and_what_would_be_right(tmp_path: Path, mistake: dict[str, Any]) -> None:
    assert problems(tmp_path, changed(mistake["file"], mistake["was"], mistake["now"])) == mistake["says"]
