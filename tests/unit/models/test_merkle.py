"""Merkle trees: against the definitions of RFC 9162, written down once more as they stand there, and known hashes."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.merkle import consistency, extends, leaf, root

#: Entries and root of the test data that comes with the log server of RFC 6962.
KNOWN = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]
ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def mth(entries: list[bytes]) -> bytes:
    """MTH of §2.1.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def subproof(m: int, entries: list[bytes], b: bool) -> list[bytes]:
    """SUBPROOF of §2.1.4.1."""
    n = len(entries)
    if m == n:
        return [] if b else [mth(entries)]
    k = split(n)
    if m <= k:
        return [*subproof(m, entries[:k], b), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


def test_the_known_tree_has_its_known_root() -> None:
    assert root([leaf(one) for one in KNOWN]).hex() == ROOT
    assert root([]).hex() == sha256(b"").hexdigest()


@pytest.mark.parametrize("size", range(1, 34))
def test_roots_and_proofs_are_those_of_the_definitions(size: int) -> None:
    entries = [bytes([number]) for number in range(size)]
    hashes = [leaf(one) for one in entries]
    assert root(hashes) == mth(entries)
    for earlier in range(1, size + 1):
        proof = consistency(hashes, earlier)
        assert proof == subproof(earlier, entries, True)
        assert extends(earlier, mth(entries[:earlier]), size, mth(entries), proof)


def test_trees_over_complete_subtrees_prove_with_the_sizes_of_their_leaves() -> None:
    entries = [bytes([number]) for number in range(4 * 13)]
    hashes = [mth(entries[at : at + 4]) for at in range(0, len(entries), 4)]
    assert root(hashes) == mth(entries)
    for earlier in range(1, 14):
        proof = consistency(hashes, earlier)
        assert proof == subproof(4 * earlier, entries, True)
        assert extends(4 * earlier, mth(entries[: 4 * earlier]), len(entries), mth(entries), proof)


@given(st.integers(2, 40), st.data())
def test_no_proof_shows_that_a_changed_log_extends_the_old_one(size: int, data: st.DataObject) -> None:
    entries = [bytes([number]) for number in range(size)]
    earlier = data.draw(st.integers(1, size))
    at = data.draw(st.integers(0, earlier - 1))
    forged = [leaf(b"changed") if number == at else leaf(one) for number, one in enumerate(entries)]
    kept, proof = mth(entries[:earlier]), consistency(forged, earlier)
    assert not extends(earlier, kept, size, root(forged), proof)
    honest, whole = [leaf(one) for one in entries], mth(entries)
    right = consistency(honest, earlier)
    assert not extends(earlier, kept, size, whole, [*right, bytes(32)])
    if right:
        spoilt = [bytes(32), *right[1:]]
        assert not extends(earlier, kept, size, whole, spoilt)
        assert not extends(earlier, kept, size, whole, right[1:])
    assert not extends(0, kept, size, whole, right)
    assert not extends(size + 1, kept, size, whole, right)
