"""Types of leaves through the schema: canonical forms, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from simulators.datastore import load_schema
from simulators.datastore.leaftypes import (
    BinaryType,
    BitsType,
    DecimalType,
    EmptyType,
    IntegerType,
    LeafType,
    StringType,
    UnionType,
    python_pattern,
)

#: A type, or the names of the nodes that lead to a leaf: no schema is compiled only to collect these tests.
Kind = LeafType | tuple[str, ...]


def kind_of(kind: Kind) -> LeafType:
    if not isinstance(kind, tuple):
        return kind
    found = load_schema().root
    for name in kind:
        found = found.by_name[name]
    assert found.type is not None
    return found.type


ADDRESS = ("ManagedElement", "GNBCUCPFunction", "EP_NgC", "attributes", "remoteAddress")
BANDWIDTH = ("ManagedElement", "ENBFunction", "EUtranCellFDD", "attributes", "dlChannelBandwidth")
NAME = ("ManagedElement", "attributes", "dnPrefix")
GNB_ID = ("ManagedElement", "GNBDUFunction", "attributes", "gNBDUId")
EARFCN = ("ManagedElement", "ENBFunction", "EUtranCellFDD", "attributes", "earfcnUl")
RESERVED = (*EARFCN[:-1], "plmnIdList", "cellReservedForOperatorUse")
CU_NAME = ("ManagedElement", "GNBCUCPFunction", "attributes", "gNBCUName")
POWER = ("ManagedElement", "ENBFunction", "EUtranCellFDD", "attributes", "referenceSignalPower")
MOMENT = ("active-alarm-list", "active-alarms", "event-time")


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        (ADDRESS, "10.1.2.3", "10.1.2.3"),
        (ADDRESS, "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        (ADDRESS, "fe80::1%eth0", "fe80::1%eth0"),
        (BANDWIDTH, "10", "10.0"),
        (BANDWIDTH, " 010.000 ", "10.0"),
        (BANDWIDTH, "1.40", "1.4"),
        (NAME, "DC=ipt.example,SubNetwork=Cusco", "DC=ipt.example,SubNetwork=Cusco"),
        (NAME, r"CN=a\,b\2C+O=x y", r"CN=a\,b\2C+O=x y"),
        (GNB_ID, "68719476735", "68719476735"),
        (GNB_ID, " +0042 ", "42"),
        (EARFCN, "0", "0"),
        (EARFCN, "27360", "27360"),
        (RESERVED, "true", "true"),
        (CU_NAME, " a ", " a "),
        (CU_NAME, "ñ" * 150, "ñ" * 150),
        (POWER, "-60", "-60"),
        (MOMENT, "2026-06-01T12:00:00.123Z", "2026-06-01T12:00:00.123Z"),
        (MOMENT, "2026-06-01T12:00:00-05:00", "2026-06-01T12:00:00-05:00"),
        (DecimalType(2, ()), "-0.50", "-0.5"),
        (DecimalType(2, ()), "-0.0", "0.0"),
        (BitsType(("a", "b", "c")), "c  a", "a c"),
        (BinaryType(), "aGk =", "aGk="),
        (EmptyType(), "", ""),
    ],
)
def test_canonical(kind: Kind, text: str, canonical: str) -> None:
    assert kind_of(kind).canonical(text) == canonical
    assert kind_of(kind).canonical(canonical) == canonical


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[
            (ADDRESS, text)
            for text in ("", "10.1.2", "10.1.2.256", "010.1.2.3", "2001:db8:::1", "1:2:3:4:5:6:7:8:9", "host")
        ],
        *[(BANDWIDTH, text) for text in ("", "10.01", "7.0", "1e1", "10,0", "x")],
        *[(NAME, text) for text in ("", "DC", "DC=", "DC= a", "DC=a ", "1=a", "DC=a,", "DC=a;b", "DC=a\\", "DC=#a")],
        *[(GNB_ID, text) for text in ("-1", "68719476736", "0x10", "1.0", "")],
        *[(EARFCN, text) for text in ("1", "17999", "36000", "262144")],
        *[(RESERVED, text) for text in ("True", "1", " true", "")],
        *[(CU_NAME, text) for text in ("", "ñ" * 151)],
        *[(POWER, text) for text in ("-61", "51")],
        *[(MOMENT, text) for text in ("2026-06-01", "2026-06-01T12:00:00", "now")],
        (BitsType(("a", "b")), "a a"),
        (BitsType(("a", "b")), "d"),
        (BinaryType(), "###"),
        (BinaryType(((Decimal(3), Decimal(4)),)), "aGk="),
        (EmptyType(), "x"),
    ],
)
def test_refused(kind: Kind, text: str) -> None:
    made = kind_of(kind)
    with pytest.raises(ValueError):
        made.canonical(text)


def test_a_union_takes_the_first_that_fits_and_gives_all_reasons() -> None:
    number = IntegerType(((Decimal(0), Decimal(9)),))
    union = UnionType((number, StringType(patterns=(python_pattern("[a-z]+"),))))
    assert (union.canonical("07"), union.canonical("abc")) == ("7", "abc")
    with pytest.raises(ValueError, match=r"10 is outside 0\.\.9 and '10' does not match"):
        union.canonical("10")


class TestPatterns:
    def test_anchors_are_ordinary_characters(self) -> None:
        assert python_pattern("a^b$").fullmatch("a^b$")
        assert python_pattern("[^a$]+").fullmatch("b^c")
        assert not python_pattern("[^a$]+").fullmatch("b$")
        assert python_pattern(r"\$[$^]").fullmatch("$^")

    def test_letters_and_digits(self) -> None:
        assert python_pattern(r"[\p{N}\p{L}]+").fullmatch("éth0")
        assert not python_pattern(r"[\p{N}\p{L}]+").fullmatch("a b")

    @pytest.mark.parametrize("pattern", [r"\p{Lu}", r"\i\c*", r"[a-z-[aeiou]]"])
    def test_what_python_can_not_say_is_refused(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="beyond"):
            python_pattern(pattern)
