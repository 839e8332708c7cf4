"""Every kind of mistake in network files: what the loader says, to the letter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.inventory.files import CLOUD, FILES, problems


def _mistakes(name: str) -> Any:
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))


#: Each with the files that it is made in.
_MISTAKES = [(one, FILES) for one in _mistakes("mistakes.yaml")]
_MISTAKES += [(one, CLOUD) for one in _mistakes("mistakes_cloud.yaml")]


@pytest.mark.parametrize(("mistake", "files"), _MISTAKES, ids=[f"{one['file']}: {one['now']}" for one, _ in _MISTAKES])
def test_says_what_is_wrong_and_what_would_be_right(
    tmp_path: Path, mistake: dict[str, Any], files: Mapping[str, str]
) -> None:
    file, was = mistake["file"], mistake["was"]
    assert files[file].count(was) >= 1, f"{was!r} is not in {file}"
    assert problems(tmp_path, {**files, file: files[file].replace(was, mistake["now"], 1)}) == mistake["says"]
