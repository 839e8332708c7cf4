"""Quantities of resources: `600m`, `64Gi`, `1e3`."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(.*)", re.DOTALL)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,3})")
_SUFFIX = re.compile(r"[eEinumkKMGTP]*[-+]?[0-9]*")
#: What the real server says of a text that is none.
MALFORMED = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def _parts(text: str) -> tuple[Decimal, str]:
    found = _NUMBER.fullmatch(text)
    if not found:
        raise ValueError(MALFORMED)
    number, suffix = Decimal(found[1]), found[2]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix]), "decimal"
    if suffix in _BINARY:
        return number * 1024 ** _BINARY[suffix], "binary"
    exponent = _EXPONENT.fullmatch(suffix)
    if not exponent:
        raise ValueError("unable to parse quantity's suffix" if _SUFFIX.fullmatch(suffix) else MALFORMED)
    return number.scaleb(int(exponent[1])), "exponent"


def amount(text: str | int | float) -> Decimal:
    """The number that a quantity is.

    Raises:
        ValueError: It is none.
    """
    return _parts(str(text))[0]


def canonical(value: str | int | float | Decimal) -> str:
    """A quantity as the server shows it: a whole number with the largest suffix that leaves it whole.

    Raises:
        ValueError: It is none.
    """
    number, form = (value, "decimal") if isinstance(value, Decimal) else _parts(str(value))
    number = number.quantize(Decimal("1e-9"), rounding="ROUND_UP") if number % Decimal("1e-9") else number
    if form == "binary" and abs(number) >= 1024:
        return _shown_binary(number)
    exponent = 0
    if number:
        _, _, power = number.normalize().as_tuple()
        assert isinstance(power, int)
        exponent = min(max(power // 3 * 3, -9), 18)
    mantissa = number.scaleb(-exponent)
    if form == "exponent":
        return f"{mantissa:f}" + (f"e{exponent}" if exponent else "")
    suffix = next(name for name, power in _DECIMAL.items() if power == exponent)
    return f"{int(mantissa)}{suffix}"


def _shown_binary(number: Decimal) -> str:
    whole = int(number.to_integral_value(rounding="ROUND_UP"))
    for suffix, power in reversed(_BINARY.items()):
        if whole % 1024**power == 0:
            return f"{whole // 1024**power}{suffix}"
    return str(whole)
