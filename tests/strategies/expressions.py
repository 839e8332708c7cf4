"""Generated expressions of playbooks, over names that are known before a run and names that are not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

#: Names that are known before the run.
KNOWN: dict[str, Any] = {"yes": True, "no": False, "cell": "N1", "both": ["L1", "N1"], "count": 2, "none_given": None}
#: What a step may register under ``before``, if it registers anything at all.
REGISTERED = st.fixed_dictionaries(
    {"changed": st.booleans(), "cells": st.sampled_from([[], ["L1"], ["N1"], ["L1", "N1"]]), "count": st.integers(0, 3)}
)
#: What is registered by the time a step is due: nothing if the first step was skipped.
OUTCOMES: st.SearchStrategy[dict[str, Any]] = st.one_of(st.just({}), st.fixed_dictionaries({"before": REGISTERED}))

_KNOWN_TRUTHS = ("yes", "no", "count > 1", "cell == 'N1'", "'L1' in both", "none_given is none")
_UNKNOWN_TRUTHS = (
    "before is defined",
    "before is undefined",
    "before.changed",
    "before.cells != []",
    "(before | default(none)) is none",
    "before.count > 1",
    "cell in before.cells",
    "(before.changed if before is defined else no)",
)
_TRUTHS = st.sampled_from(_KNOWN_TRUTHS + _UNKNOWN_TRUTHS)
_LISTS = st.sampled_from(
    (
        "[cell]",
        "both",
        "[]",
        "['L1']",
        "before.cells",
        "(before | default(none_given)) | default(['L1'])",
        "[cell | lower]",
        "locked.cells",
        "locked['cells'] + [cell]",
        "locked.cells | sort | unique",
        "[locked.cells | first]",
        "[locked.cells[0]]",
        "locked.cells or ['L1']",
        "(locked.cells | default(['L1'])) if locked is defined else []",
        "(locked.cells | first | default('L1')) | list",
        "[locked.cells | join('')]",
    )
)


def _joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda one: f"({one[0]}) {one[1]} ({one[2]})"),
        st.tuples(inner, inner, inner).map(lambda one: f"({one[0]}) if ({one[1]}) else ({one[2]})"),
    )


_CONDITIONS = st.recursive(_TRUTHS, _joined, max_leaves=6)


def conditions() -> st.SearchStrategy[str]:
    """Conditions as ``when`` takes them."""
    return _CONDITIONS.map(lambda one: "{{ " + one + " }}")


def lists() -> st.SearchStrategy[str]:
    """Lists of cells, as the input ``cells`` takes them."""
    chosen = st.tuples(_LISTS, _CONDITIONS, _LISTS).map(lambda one: f"({one[0]}) if ({one[1]}) else ({one[2]})")
    return st.one_of(_LISTS, chosen).map(lambda one: "{{ " + one + " }}")
