"""Signed notes: verified by another library, and never where a byte, a name or a key is another one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from controller.models.errors import InputError
from controller.models.signed_note import PublicKey, SigningKey, verified

KEY, OTHER = SigningKey("host.example", bytes(range(32))), SigningKey("host.example", bytes(range(1, 33)))
TEXT = "minka\nsla-bitel-2026-10-v1\n"
NOTE = KEY.sign(TEXT)
#: The example of the format's first description (golang.org/x/mod/sumdb/note).
PUBLISHED = (
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
    "\n\u2014 PeterNeumann "  # noqa: ISC004
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
)


def test_the_published_example_is_verified() -> None:
    key, text, signature = PUBLISHED
    assert verified(text + signature, [PublicKey.parsed(key)]) == (text, PublicKey.parsed(key))
    assert PublicKey.parsed(key).line == key


def test_another_library_verifies_what_is_signed_here() -> None:
    text, _, line = NOTE.rpartition("\n\n")
    signed = base64.b64decode(line.split(" ")[2])
    assert signed[:4] == KEY.public.id
    VerifyKey(KEY.public.key).verify(f"{text}\n".encode(), signed[4:])
    with pytest.raises(BadSignatureError):
        VerifyKey(OTHER.public.key).verify(f"{text}\n".encode(), signed[4:])


def test_keys_are_lines_that_read_back_and_secrets_are_never_shown() -> None:
    assert SigningKey.parsed(KEY.line) == KEY
    assert PublicKey.parsed(KEY.public.line) == KEY.public
    assert base64.b64encode(KEY.seed).decode() not in repr(KEY)
    for wrong in (KEY.public.line, KEY.line[:-2], KEY.line.replace("host", "hist"), ""):
        with pytest.raises(InputError) as refused:
            SigningKey.parsed(wrong)
        assert wrong[12:] not in refused.value.message or not wrong
    with pytest.raises(InputError, match=r"keys\.txt:2: not an Ed25519 public key"):
        PublicKey.found_in(f"# ours\nhost\n{KEY.public.line}\n", "keys.txt")
    with pytest.raises(InputError, match="should be"):
        PublicKey.parsed(KEY.public.line.replace("host", "hist"))


@given(st.integers(0, len(NOTE) - 1), st.characters(max_codepoint=0x2030))
def test_a_note_of_which_one_character_is_another_is_refused(at: int, character: str) -> None:
    changed = NOTE[:at] + character + NOTE[at + 1 :]
    if changed == NOTE:
        return
    try:
        assert verified(changed, [KEY.public])[0] == TEXT, "base64 may be written in several ways, the text in one"
    except InputError:
        pass
    else:
        assert changed.rpartition("\n\n")[0] == NOTE.rpartition("\n\n")[0]


def test_who_else_signed_does_not_matter_and_a_key_of_the_same_name_is_not_enough() -> None:
    both = NOTE + OTHER.sign(TEXT).rpartition("\n\n")[2]
    assert verified(both, [OTHER.public]) == (TEXT, OTHER.public)
    with pytest.raises(InputError, match="none of the given keys"):
        verified(NOTE, [OTHER.public])
    stolen = OTHER.sign("another text\n").rpartition("\n\n")[2]
    with pytest.raises(InputError, match="it was changed"):
        verified(f"{TEXT}\n{stolen}", [OTHER.public])


@pytest.mark.parametrize("odd", ["", "x", "x\n", "\n\n", "x\n\n", "x\n\nno signature\n", "x\n\n\u2014 a !!!!!!!!\n"])
def test_what_is_no_note_is_refused(odd: str) -> None:
    with pytest.raises(InputError, match="signed note"):
        verified(odd, [KEY.public])
