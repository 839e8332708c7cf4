"""Host keys of network files: each that the SSH libraries read is taken, and damaged ones are named."""

from __future__ import annotations

import base64
from contextlib import suppress

import asyncssh
import pytest

from controller.models.host_keys import host_key_problem


def _made(kind: str) -> str:
    return asyncssh.generate_private_key(kind).export_public_key().decode().strip()


KEYS = {kind: _made(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")}


@pytest.mark.parametrize("kind", KEYS)
def test_a_whole_key_has_no_problem(kind: str) -> None:
    assert host_key_problem(KEYS[kind]) == ""


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_cut_anywhere_is_named_and_no_library_reads_it(kind: str) -> None:
    for end in range(len(kind) + 2, len(KEYS[kind]), 7):
        cut = KEYS[kind][:end].rstrip("=")
        for text in (cut, cut + "=" * (-len(cut.split()[1]) % 4)):
            assert host_key_problem(text), text
            assert not _is_read(text), text


@pytest.mark.parametrize("kind", KEYS)
def test_each_changed_byte_that_leaves_no_key_is_named(kind: str) -> None:
    content = base64.b64decode(KEYS[kind].split()[1])
    for place in range(len(content)):
        other = bytes([*content[:place], content[place] ^ 0x81, *content[place + 1 :]])
        text = f"{kind} {base64.b64encode(other).decode()}"
        assert bool(host_key_problem(text)) >= (not _is_read(text)), text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ssh-ed25519 AAAA", "ends early or goes on too long, at 3 bytes"),
        ("ssh-ed25519 AA==AA", "not base64"),
        (KEYS["ssh-ed25519"] + "AAAA", "ends early or goes on too long"),
        (
            KEYS["ssh-ed25519"].replace("ssh-ed25519", "ssh-rsa"),
            "says ssh-rsa, and its second part is a key of 'ssh-ed2",
        ),
        ("ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x02ab").decode(), "no key of ssh-ed25519"),
        ("ssh-ed25519 " + base64.b64encode(b"\0\0\0\x02\x1b[").decode(), "a key of no kind"),
        ("ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa\0\0\0\x01\x03\0\0\0\x01\x0f").decode(), "no key of ssh-rsa"),
    ],
    ids=["short", "no base64", "longer", "other name", "short content", "no name", "short modulus"],
)
def test_a_problem_says_what_is_wrong(text: str, says: str) -> None:
    assert says in host_key_problem(text)


def _is_read(text: str) -> bool:
    with suppress(ValueError, OverflowError):
        asyncssh.import_public_key(text)
        return True
    return False
