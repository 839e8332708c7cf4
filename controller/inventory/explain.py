"""Errors of pydantic, in words that people can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from controller.inventory.source import show, suggest

_Explanation = Callable[[Mapping[str, Any]], tuple[str, str]]
_MAPPING = ("must be a mapping", "")
_TRUTH = ("not a truth value", "true or false")
_MOMENT = ("no such time", "as in 2026-12-26T06:00:00Z, with its time zone")

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
    "greater_than": lambda ctx: ("too small", f"more than {ctx['gt']}"),
    "greater_than_equal": lambda ctx: ("too small", f"at least {ctx['ge']}"),
    "less_than": lambda ctx: ("too large", f"less than {ctx['lt']}"),
    "less_than_equal": lambda ctx: ("too large", f"at most {ctx['le']}"),
    "too_short": lambda _: ("empty", "at least one is needed"),
    "too_long": lambda ctx: ("too many", f"at most {ctx['max_length']}"),
    "tuple_type": lambda _: ("must be a list", ""),
    "list_type": lambda _: ("must be a list", ""),
    "model_type": lambda _: _MAPPING,
    "model_attributes_type": lambda _: _MAPPING,
    "dict_type": lambda _: _MAPPING,
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
    return explanation(context) if explanation else (error["msg"], "")


def _characters(number: int) -> str:
    return "one character" if number == 1 else f"{number} characters"
