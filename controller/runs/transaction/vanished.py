"""What a device has lost beyond what a change removes. Pure.

For what a change creates, an emptied device is as it was before: only what it carried besides tells the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from controller.models.plan import Op, Phase
from controller.nrm.tree import Path, Tree, is_below

#: Nodes that are named.
_MOST = 3


def vanished(carried: Collection[Path], phases: Iterable[Phase], tree: Tree) -> str:
    """Entries that were there, that no phase deletes, and that are gone, in words; empty if there are none."""
    lost = [path for path in carried if path not in tree]
    if not lost:
        return ""
    deleted = [edit.path for phase in phases for edit in phase.edits if edit.op is Op.DELETE]
    gone = [path for path in lost if not any(path == above or is_below(path, above) for above in deleted)]
    if not gone:
        return ""
    named = ", ".join(sorted(gone)[:_MOST])
    return f"{len(gone)} of {len(carried)} nodes are gone from the station, and nobody asked for that: {named}"
