"""Edits for an LTE station without functions: an ENBFunction with one cell, and changes of it."""

from __future__ import annotations

from controller.models.plan import Edit, Op
from controller.nrm.tree import child

OWNERS = ("host",)


def element_path(station: str) -> str:
    return child("", "ManagedElement", station)


def function_path(station: str) -> str:
    return child(element_path(station), "ENBFunction", "1")


def cell_path(station: str) -> str:
    return child(function_path(station), "EUtranCellFDD", "1")


def managed_element(station: str) -> Edit:
    return Edit(op=Op.CREATE, path=element_path(station), after={"priorityLabel": "1"}, owners=OWNERS)


def function(station: str) -> tuple[Edit, ...]:
    after = {"eNBId": "160145", "eNBName": "first", "priorityLabel": "1"}
    return (
        Edit(op=Op.CREATE, path=function_path(station), after=after, owners=OWNERS),
        Edit(op=Op.CREATE, path=child(function_path(station), "pLMNId", "716", "06"), owners=OWNERS),
    )


def rename(station: str, before: str, after: str) -> Edit:
    return Edit(
        op=Op.MERGE,
        path=function_path(station),
        before={"eNBName": before},
        after={"eNBName": after},
        owners=OWNERS,
    )


def cell(station: str, **leaves: str) -> tuple[Edit, ...]:
    after = {
        "cellLocalId": "1",
        "tac": "16013",
        "pci": "315",
        "earfcnDl": "9285",
        "earfcnUl": "27285",
        "dlChannelBandwidth": "15",
        "ulChannelBandwidth": "15",
        "priorityLabel": "1",
        **leaves,
    }
    return (
        Edit(op=Op.CREATE, path=cell_path(station), after=after, owners=OWNERS),
        Edit(op=Op.CREATE, path=child(cell_path(station), "plmnIdList", "716", "06"), owners=OWNERS),
    )
