"""``minka evidence``: heads of the audit trail are fetched, kept, and verified by public keys alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from controller.models.evidence import Extension, TrailHead
from controller.models.merkle import consistency
from controller.models.signed_note import SigningKey
from controller.ports.clock import VirtualClock
from tests.support.minka import CommandResult, minka
from tests.unit.models.test_merkle import mth

KEY, OTHER = SigningKey("host.example", bytes(range(32))), SigningKey("host.example", bytes(32))
_AT = VirtualClock().now()


def note_of(entries: list[bytes], key: SigningKey = KEY) -> str:
    return key.sign(TrailHead(key.name, len(entries), mth(entries), _AT).text)


ROWS = [bytes([number]) for number in range(11)]
LEAVES = [mth([row]) for row in ROWS]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """An API whose trail has eleven rows; what it was asked."""
    asked = []

    def answer(_: Any, request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, dict(request.url.params)))
        if request.url.path == "/v1/evidence/keys":
            return httpx.Response(200, json={"keys": [KEY.public.line]})
        if request.url.path == "/v1/evidence/heads":
            one = {"size": len(ROWS), "issued": _AT.isoformat(), "note": note_of(ROWS)}
            return httpx.Response(200, json={"count": 1, "next": None, "results": [one]})
        since = int(request.url.params["since"])
        return httpx.Response(200, text=Extension(since, consistency(LEAVES, since), note_of(ROWS)).text)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    return asked


def verify(file: Path, keys: Path, *more: str) -> CommandResult:
    return minka("evidence", "verify", str(file), "--keys", str(keys), *more)


def test_a_head_is_kept_and_later_heads_are_proved_to_extend_it(
    api: list[tuple[str, dict[str, str]]], tmp_path: Path
) -> None:
    keys, kept, today = (tmp_path / name for name in ("host.keys", "kept.head", "today.head"))
    assert minka("evidence", "keys", "--to", str(keys)).status == 0
    kept.write_text(note_of(ROWS[:5]))
    assert minka("evidence", "head", "--since", str(kept), "--to", str(today)).status == 0
    assert api[-1] == ("/v1/evidence/extension", {"since": "5"})
    said = verify(today, keys, "--since", str(kept))
    assert (said.status, "a head of the audit trail that extends" in " ".join(said.out.split())) == (0, True), said.err
    asked = len(api)
    found = orjson.loads(verify(today, keys, "--since", str(kept), "--json").out)
    assert (found["size"], found["root"], found["name"]) == (11, mth(ROWS).hex(), "host.example")
    assert len(api) == asked, "nobody was asked"
    assert minka("evidence", "head", "--since", str(today), "--to", str(kept)).status == 0, "a proof holds its head"
    assert verify(kept, keys, "--since", str(today)).status == 0
    assert minka("evidence", "head", "--to", str(kept)).status == 0
    assert kept.read_text() == note_of(ROWS)
    assert "a head of the audit trail, published" in " ".join(verify(kept, keys).out.split())
    assert "leaves" in minka("evidence", "heads").out


def test_what_was_changed_on_the_way_or_by_the_host_is_refused(
    api: list[tuple[str, dict[str, str]]], tmp_path: Path
) -> None:
    keys, kept, today = (tmp_path / name for name in ("host.keys", "kept.head", "today.head"))
    keys.write_text(f"# by telephone\n{KEY.public.line}\n")
    changed = [*ROWS[:2], b"changed", *ROWS[3:5]]
    for content, since, says in (
        (Extension(5, consistency(LEAVES, 5), note_of(ROWS)).text, note_of(changed), "does not extend that of"),
        (Extension(4, consistency(LEAVES, 4), note_of(ROWS)).text, note_of(ROWS[:5]), "not the head before"),
        (Extension(5, consistency(LEAVES, 5), note_of(ROWS, OTHER)).text, note_of(ROWS[:5]), "none of the given keys"),
        (note_of(ROWS), note_of(ROWS[:5]), "it has no proof"),
        (note_of(ROWS, OTHER), None, "none of the given keys"),
        (note_of(ROWS).replace("\n11\n", "\n12\n"), None, "it was changed"),
        (KEY.sign("another\nnote\n"), None, "no head of an audit trail"),
        ("a text", None, "not a signed note"),
    ):
        today.write_text(content)
        kept.write_text(since or "")
        said = verify(today, keys, *(["--since", str(kept)] if since else []))
        assert (said.status, says in " ".join(said.err.split())) == (10, True), said.err
    keys.write_text("no key\n")
    said = verify(today, keys)
    assert (said.status, "host.keys:1: not an Ed25519 public key" in " ".join(said.err.split())) == (2, True)
    today.write_bytes("old 4096\n\u00e9\u00e9\n\nx\n".encode())
    kept.write_text(note_of(ROWS[:5]))
    keys.write_text(KEY.public.line)
    assert verify(today, keys, "--since", str(kept)).status == 10
    assert minka("evidence", "head", "--since", str(today)).status == 2
    hidden = tmp_path / "hidden.keys"
    hidden.write_text(f"# ours \x0b{OTHER.public.line}\n{KEY.public.line}\n")
    today.write_text(note_of(ROWS, OTHER))
    assert verify(today, hidden).status == 10, "a key in a comment is none"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = verify(pipe, keys)
    assert (said.status, "is no regular file" in " ".join(said.err.split())) == (10, True)
    today.write_bytes(b"\xff\xfe")
    keys.write_text(KEY.public.line)
    assert verify(today, keys).status == 10
    assert minka("evidence", "head", "--since", str(keys)).status == 2


def test_a_new_key_is_added_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_HOME", str(tmp_path))
    monkeypatch.setenv("MINKA_SIGNING_NAME", "evidence.host.example")
    made = [orjson.loads(minka("evidence", "new-key", "--json").out)["key"] for _ in range(2)]
    lines = (tmp_path / "signing-keys").read_text().splitlines()
    assert [SigningKey.parsed(line).public.line for line in lines] == made
    assert made[0].startswith("evidence.host.example+")
    monkeypatch.setenv("MINKA_SIGNING_KEYS", "env:KEYS")
    said = minka("evidence", "new-key")
    assert (said.status, "the keys come from env:KEYS" in said.err) == (2, True)
