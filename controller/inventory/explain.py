"""Errors of pydantic, in words that people can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from controller.inventory.source import show, suggest

_Explanation = Callable[[Mapping[str, Any]], tuple[str, str]]
_MAPPING = ("must be a mapping", "")
_TRUTH = ("not a truth value", "true or false")
_DAY = ("no such date", "as in 2026-12-26")
_ADDRESS = ("no address", "as in https://noc.example/alarms")
_MOMENT = ("no such time", "as in 2026-12-26T06:00:00Z, with its time zone")

#: All that pydantic itself may say.
_OF_PYDANTIC = frozenset(get_args(ErrorType))
_EXPLANATIONS: dict[str, _Explanation] = {
    "missing": lambda _: ("missing", ""),
    "extra_forbidden": lambda _: ("no such field", ""),
    "json_invalid": lambda ctx: (f"not JSON: {ctx['error']}", ""),
    "string_too_long": lambda ctx: ("too long", f"at most {ctx['max_length']} characters"),
    "string_too_short": lambda ctx: ("too short", f"at least {_characters(ctx['min_length'])}"),
    "string_type": lambda _: ("must be text", ""),
    "int_parsing": lambda _: ("not a whole number", ""),
    "int_from_float": lambda _: ("not a whole number", ""),
    "int_parsing_size": lambda _: ("too large", ""),
    "int_type": lambda _: ("must be a whole number", ""),
    "float_parsing": lambda _: ("not a number", ""),
    "float_type": lambda _: ("must be a number", ""),
    "decimal_parsing": lambda _: ("not a number", "as in 0.35"),
    "decimal_max_places": lambda ctx: ("too fine", f"at most {ctx['decimal_places']} digits behind the point"),
    "decimal_max_digits": lambda _: ("too large", ""),
    "decimal_whole_digits": lambda _: ("too large", ""),
    "finite_number": lambda _: ("must be a finite number", ""),
    "bool_parsing": lambda _: _TRUTH,
    "bool_type": lambda _: _TRUTH,
    "greater_than": lambda ctx: ("too small", f"more than {_plain(ctx['gt'])}"),
    "greater_than_equal": lambda ctx: ("too small", f"at least {_plain(ctx['ge'])}"),
    "less_than": lambda ctx: ("too large", f"less than {_plain(ctx['lt'])}"),
    "less_than_equal": lambda ctx: ("too large", f"at most {_plain(ctx['le'])}"),
    "multiple_of": lambda ctx: ("not a multiple", f"of {_plain(ctx['multiple_of'])}"),
    "too_short": lambda _: ("empty", "at least one is needed"),
    "too_long": lambda ctx: ("too many", f"at most {ctx['max_length']}"),
    "tuple_type": lambda _: ("must be a list", ""),
    "list_type": lambda _: ("must be a list", ""),
    "model_type": lambda _: _MAPPING,
    "model_attributes_type": lambda _: _MAPPING,
    "dict_type": lambda _: _MAPPING,
    "set_type": lambda _: ("must be a list", ""),
    "frozen_set_type": lambda _: ("must be a list", ""),
    "mapping_type": lambda _: _MAPPING,
    "invalid_key": lambda _: ("a key must be text", ""),
    "string_unicode": lambda _: ("must be text in UTF-8", ""),
    "decimal_type": lambda _: ("must be a number", "as in 0.35"),
    "date_type": lambda _: _DAY,
    "date_parsing": lambda _: _DAY,
    "date_from_datetime_inexact": lambda _: _DAY,
    "time_type": lambda _: ("no such time", "as in 01:30"),
    "datetime_object_invalid": lambda _: _MOMENT,
    "time_delta_type": lambda _: ("no such length of time", "a number of seconds"),
    "time_delta_parsing": lambda _: ("no such length of time", "a number of seconds"),
    "url_type": lambda _: _ADDRESS,
    "url_parsing": lambda _: _ADDRESS,
    "url_scheme": lambda ctx: ("no such kind of address", f"it begins with {ctx['expected_schemes']}"),
    "assertion_error": lambda ctx: (str(ctx["error"]), ""),
    "value_error": lambda ctx: (str(ctx["error"]), ""),
    "date_from_datetime_parsing": lambda ctx: (f"no such date: {ctx['error']}", ""),
    "time_parsing": lambda ctx: (f"no such time: {ctx['error']}", ""),
    "datetime_parsing": lambda _: _MOMENT,
    "datetime_from_date_parsing": lambda _: _MOMENT,
    "datetime_type": lambda _: _MOMENT,
    "timezone_aware": lambda _: ("a time without its time zone", "as in 2026-12-26T06:00:00Z"),
}


def explain(
    error: ErrorDetails,
    forms: Mapping[str, str],
    did_you_mean: Callable[[str, Iterable[str]], str] = suggest,
) -> tuple[str, str]:
    """The problem and what would be right; the latter is empty if the former says it.

    Args:
        error: Pydantic's error.
        forms: Meaning of patterns, for people.
        did_you_mean: Makes a hint for a misspelt word.
    """
    context = error.get("ctx", {})
    if error["type"] in {"enum", "literal_error"}:
        choices = context["expected"].replace("'", "")
        words = choices.replace(" or ", ", ").split(", ")
        return "not one of the choices", did_you_mean(show(error["input"]), words) or choices
    if error["type"] == "string_pattern_mismatch":
        return "not of the right form", forms.get(str(context["pattern"]), f"by the pattern {context['pattern']}")
    explanation = _EXPLANATIONS.get(error["type"])
    if explanation is not None:
        return explanation(context)
    # A validator of ours says what is right in words of its own; pydantic's words name its own types.
    return ("not of the right form", "") if error["type"] in _OF_PYDANTIC else (error["msg"], "")


def _characters(number: int) -> str:
    return "one character" if number == 1 else f"{number} characters"


def _plain(number: Any) -> str:
    """A limit without a fraction that says nothing."""
    return f"{number:g}" if isinstance(number, float) and abs(number) < 1e6 else str(number)
