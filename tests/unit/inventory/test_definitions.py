"""Files of rules, playbooks and KPIs, as they are read from folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.bootstrap import put_first_definitions
from controller.inventory.definitions import read_definitions
from controller.models.errors import InputError
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from controller.store import open_store


def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    for name in ("rules", "playbooks", "kpis/regulators"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "rules", tmp_path / "playbooks", tmp_path / "kpis"


def test_all_files_are_read_by_their_path_and_those_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    rules, playbooks, kpis = folders(tmp_path)
    (rules / "a.yaml").write_text("a")
    (rules / "bytes.yaml").write_bytes(b"name: x\nname: \xff\n")
    (rules / "large.yaml").write_text("#" * 300_000)
    (rules / "Loud.yaml").write_text("x")
    (rules / ".hidden.yaml").write_text("x")
    (rules / "notes.txt").write_text("x")
    (playbooks / "b.yaml").write_text("b")
    (kpis / "c.yaml").write_text("\ufeffc")
    (kpis / "regulators" / "d.yaml").write_text("d")
    (tmp_path / "secret").write_text("s")
    (kpis / "link.yaml").symlink_to(tmp_path / "secret")
    found = read_definitions(rules, playbooks, kpis)
    assert found.texts == {
        "rules/a.yaml": "a",
        "playbooks/b.yaml": "b",
        "kpis/c.yaml": "c",
        "kpis/regulators/d.yaml": "d",
    }
    assert {path: line for path, (line, _) in found.unread.items()} == {
        "rules/bytes.yaml": 2,
        "rules/large.yaml": 1,
        "rules/Loud.yaml": 0,
        "kpis/link.yaml": 0,
    }


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    rules, playbooks, kpis = folders(tmp_path)
    for number in range(2001):
        (rules / f"r{number}.yaml").touch()
    with pytest.raises(InputError, match="2000 definitions are the most"):
        read_definitions(rules, playbooks, kpis)


def test_folders_count_once_and_a_missing_one_later_stops_nobody(tmp_path: Path) -> None:
    rules, playbooks, kpis = folders(tmp_path)
    (rules / "a.yaml").write_text("a")
    settings = Settings(home=tmp_path, rules=rules, playbooks=playbooks, kpis=kpis)
    store = open_store("sqlite://", VirtualClock())
    missing = settings.model_copy(update={"rules": tmp_path / "none"})
    with pytest.raises(InputError, match="MINKA_RULES"):
        put_first_definitions(store, missing)
    put_first_definitions(store, settings)
    (rules / "a.yaml").write_text("another")
    for one in (settings, missing):
        put_first_definitions(store, one)
        found = store.definitions.get()
        assert (found.number, found.by, found.files.texts) == (1, "minka", {"rules/a.yaml": "a"})
    store.close()
