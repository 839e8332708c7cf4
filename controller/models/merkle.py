"""Merkle trees of an append-only log: root, and the proof that one tree extends an earlier one.

All of it is RFC 9162 §2.1 (SHA-256), so that anybody's verifier of transparency logs can check it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

#: Bytes of a hash.
SIZE = 32


def leaf(entry: bytes) -> bytes:
    """The hash of an entry."""
    return sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves, or of complete subtrees of one size; that of the empty tree for none."""
    if not hashes:
        return sha256(b"").digest()
    # Complete subtrees from the left, the largest first: adding one merges those of equal size.
    sizes: list[tuple[int, bytes]] = []
    for one in hashes:
        size, made = 1, one
        while sizes and sizes[-1][0] == size:
            made = node(sizes.pop()[1], made)
            size *= 2
        sizes.append((size, made))
    _, made = sizes.pop()
    while sizes:
        made = node(sizes.pop()[1], made)
    return made


def consistency(hashes: Sequence[bytes], earlier: int) -> list[bytes]:
    """The proof that the tree over ``hashes`` extends the tree over the first ``earlier`` of them (RFC 9162 §2.1.4.1).

    Args:
        hashes: Hashes of leaves, or of complete subtrees of one size.
        earlier: At least 1, at most all.
    """
    if not 0 < earlier <= len(hashes):
        raise ValueError(f"an earlier tree has 1 to {len(hashes)} hashes, not {earlier}")
    proof: list[bytes] = []
    begin, end, complete = 0, len(hashes), True
    # Down the tree to the place where the earlier one ends; what lies beside the way is the proof.
    while earlier < end - begin:
        half = 1 << ((end - begin - 1).bit_length() - 1)
        if earlier <= half:
            proof.append(root(hashes[begin + half : end]))
            end = begin + half
        else:
            proof.append(root(hashes[begin : begin + half]))
            begin, earlier, complete = begin + half, earlier - half, False
    if not complete:
        proof.append(root(hashes[begin:end]))
    return proof[::-1]


def extends(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a tree extends an earlier one, by a proof of consistency (RFC 9162 §2.1.4.2).

    Args:
        first: Leaves of the earlier tree, at least 1.
        first_root: Its root.
        second: Leaves of the later tree.
        second_root: Its root.
        proof: Hashes, as ``consistency`` gives them.
    """
    if not 0 < first <= second or any(len(one) != SIZE for one in proof):
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node(one, was), node(one, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node(now, one)
        at, last = at >> 1, last >> 1
    return last == 0 and (was, now) == (first_root, second_root)
