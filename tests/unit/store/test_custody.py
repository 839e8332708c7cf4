"""What is kept outside of the database: keys, and the newest audit row."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest

from controller.bootstrap import open_record
from controller.models.audit import AuditAnchor
from controller.models.errors import InputError
from controller.models.settings import Settings
from controller.observe.anchors import Anchors
from controller.ports.clock import VirtualClock
from controller.store.database.evidence import AuditKey, AuditKeys, Evidence, Head, last_anchors

ONE, TWO = Head(0, 1, "a" * 64), Head(0, 2, "b" * 64)


def test_keys_are_made_on_first_start_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with closing(open_record(settings, VirtualClock(), "up")) as store:
        store.audit.append("ana", "did", "1")
        key = store.audit.newest_key()
    file = tmp_path / "audit-keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "record-head").stat().st_mode) == 0o600
    assert key
    assert key == AuditKeys.parsed(file.read_text(), "f").keys[0].id
    assert key not in (tmp_path / "record-head").read_text()
    with closing(open_record(settings, VirtualClock(), "up")) as store:
        assert store.audit.verify() is None


def test_keys_come_from_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = AuditKey.new(1)
    monkeypatch.setenv("AUDIT_KEYS", key.line)
    with closing(open_record(Settings(home=tmp_path, audit_keys="env:AUDIT_KEYS"), VirtualClock(), "up")) as store:
        store.audit.append("ana", "did", "1")
        assert store.audit.newest_key() == key.id
    assert not (tmp_path / "audit-keys").exists()


def test_without_the_keys_of_a_signed_trail_nothing_starts(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with closing(open_record(settings, VirtualClock(), "up")) as store:
        store.audit.append("ana", "did", "1")
    (tmp_path / "audit-keys").unlink()
    with pytest.raises(InputError, match=r"audit-keys is missing.*minka audit new-key"):
        open_record(settings, VirtualClock(), "up")


def test_rows_from_before_there_were_keys_need_none(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    from controller.store import open_store

    with closing(open_store(settings.database)) as store:
        store.audit.append("ana", "did", "1")
    with closing(open_record(settings, VirtualClock(), "up")) as store:
        store.audit.append("ana", "did", "2")
        assert store.audit.verify() is None


@pytest.mark.parametrize("text", ["", "secret", "12345678 1 " + "0" * 63, "12345678 one " + "0" * 64])
def test_what_is_no_key_is_named_by_its_line_and_never_shown(text: str) -> None:
    with pytest.raises(InputError, match="keys") as raised:
        AuditKeys.parsed(text, "keys")
    assert not text or text not in raised.value.message


def test_the_newest_head_is_kept_for_all_processes_and_only_grows(tmp_path: Path) -> None:
    one, other = Evidence(folder=tmp_path), Evidence(folder=tmp_path)
    one.saw(TWO)
    other.saw(ONE)
    assert one.newest() == other.newest() == TWO
    assert Evidence(folder=tmp_path).newest() == TWO


def test_a_process_knows_what_it_saw_although_the_file_was_restored(tmp_path: Path) -> None:
    custody = Evidence(folder=tmp_path)
    custody.saw(ONE)
    kept = (tmp_path / "record-head").read_bytes()
    custody.saw(TWO)
    (tmp_path / "record-head").write_bytes(kept)
    assert Evidence(folder=tmp_path).newest() == ONE
    assert custody.newest() == TWO


def test_a_doubt_stays_until_a_later_epoch(tmp_path: Path) -> None:
    custody = Evidence(folder=tmp_path)
    custody.saw(ONE)
    custody.doubt("older")
    custody.doubt("older still")
    custody.saw(TWO)
    assert Evidence(folder=tmp_path).newest() == Head(0, 1, "a" * 64, "older")
    decided = Head(1, 1, "c" * 64)
    custody.saw(decided)
    assert Evidence(folder=tmp_path).newest() == decided


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"epoch": 1, "other": 2}'])
def test_a_torn_file_says_nothing(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "record-head").write_bytes(torn)
    assert Evidence(folder=tmp_path).newest() == Head()


async def test_anchors_are_added_and_sent_once_each_and_tried_again(tmp_path: Path) -> None:
    told: list[str] = []

    class Collector:
        async def post(self, content: dict[str, str], key: str) -> None:
            told.append(content["text"])

    file = tmp_path / "anchors"
    anchors = Anchors(file, VirtualClock(), Collector())  # type: ignore[arg-type]
    first, second = AuditAnchor(number=1, hash="a" * 64), AuditAnchor(number=2, hash="b" * 64)
    for anchor in (first, first, second):
        await anchors.publish(anchor)
    assert list(AuditAnchor.found_in(file.read_text())) == [first, second]
    assert told == [first.text, second.text]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert last_anchors(file) == (Head(0, 1, "a" * 64), Head(0, 2, "b" * 64))
    assert Evidence(folder=tmp_path, anchors=last_anchors(file)).newest().number == 2
