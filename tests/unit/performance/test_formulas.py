"""Formulas are read into trees; what they may not say is refused with its place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.errors import InputError
from controller.performance.formula import (
    DEEPEST,
    LONGEST,
    MOST,
    CounterTerm,
    Number,
    Operation,
    Seconds,
    counters,
    parse,
)

ATT, SUCC = CounterTerm(("RRC.ConnEstabAtt",)), CounterTerm(("RRC.ConnEstabSucc",))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("RRC.ConnEstabAtt", ATT),
        ("RRC.ConnEstabSucc / RRC.ConnEstabAtt", Operation("/", SUCC, ATT)),
        ("100 * RRC.ConnEstabSucc", Operation("*", Number(100), SUCC)),
        (
            "RRC.ConnEstabAtt - RRC.ConnEstabSucc - 1.5",
            Operation("-", Operation("-", ATT, SUCC), Number(1.5)),
        ),
        ("RRC.ConnEstabAtt + 2 * seconds", Operation("+", ATT, Operation("*", Number(2), Seconds()))),
        ("(RRC.ConnEstabAtt + 2) * seconds", Operation("*", Operation("+", ATT, Number(2)), Seconds())),
        ("A.B[qos=1]", CounterTerm(("A.B",), qos=1)),
        ("A.B[cell]", CounterTerm(("A.B",), whole=True)),
        ("A.B[qos=1] | C.D[qos=1]", CounterTerm(("A.B", "C.D"), qos=1)),
        ("A.B[qos=1] | 0", CounterTerm(("A.B",), qos=1, optional=True)),
        ("A.B + (C.D | E.F | 0)", Operation("+", CounterTerm(("A.B",)), CounterTerm(("C.D", "E.F"), optional=True))),
        ("(A.B | C.D) / seconds", Operation("/", CounterTerm(("A.B", "C.D")), Seconds())),
    ],
)
def test_a_formula_is_read(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it ends too early: expected a counter such as RRC.ConnEstabAtt, a number or '('"),
        ("A.B +", "it ends too early"),
        ("A.B C.D", "'C.D' at character 5: expected one of + - * / or the end"),
        ("A.B ! C.D", "'!' at character 5 means nothing in a formula"),
        ("__import__('os')", "'_' at character 1 means nothing in a formula"),
        ("(A.B", "it ends too early: expected ')'"),
        ("mean(A.B)", "'(' at character 5: expected one of + - * / or the end"),
        ("A.B | 0 | C.D", "'|' at character 9: expected one of + - * / or the end"),
        ("0 | A.B", "'|' at character 3: expected one of + - * / or the end"),
        ("A.B | 2", "'2' at character 7: expected a counter such as RRC.ConnEstabAtt"),
        ("(A.B + C.D) | E.F", "'|' stands between two counters"),
        ("A.B[qos=1] | C.D", "counters joined by '|' must have the same selector"),
        ("A.B[plmn=1]", "'plmn' at character 5: expected qos=NUMBER or cell"),
        ("A.B[qos=0]", "'0' at character 9: expected a QCI or 5QI from 1 to 255"),
        ("A.B[qos=1.5]", "expected a QCI or 5QI from 1 to 255"),
        ("A" * (LONGEST + 1), f"a formula has at most {LONGEST} characters"),
        ("(" * (DEEPEST + 1) + "A.B", f"a formula is nested {DEEPEST} levels at most"),
        ("+".join(["A.B"] * 25), "a formula has at most 24 counters"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(text)
    assert said in refused.value.message


def test_counters_of_a_formula_are_all_that_stand_in_it() -> None:
    found = counters(parse("100 * (A.B - C.D[qos=1]) / E.F"))
    assert [one.names for one in found] == [("A.B",), ("C.D",), ("E.F",)]


@given(
    st.lists(
        st.sampled_from(["A.B", "C.D", "2", "seconds", *"+-*/()[]=|", "qos", "cell", " ", "§", "1.5", "_"]), max_size=60
    )
)
def test_whatever_is_written_is_a_tree_or_refused(words: list[str]) -> None:
    with suppress(InputError):
        assert all(one.names for one in counters(parse(" ".join(words))))


def test_a_formula_may_have_as_many_counters_as_the_message_says() -> None:
    def of(number: int) -> str:
        return " + ".join(["RRC.ConnMean"] * number)

    assert len(list(counters(parse(of(MOST))))) == MOST
    with pytest.raises(InputError, match=f"a formula has at most {MOST} counters"):
        parse(of(MOST + 1))
