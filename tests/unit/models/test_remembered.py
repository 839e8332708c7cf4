from __future__ import annotations

import pytest

from controller.models.remembered import MOST, remembered


@pytest.mark.parametrize(
    ("texts", "worked"),
    [(("a", "b"), 1), (("a" * MOST, ""), 1), (("a" * MOST, "b"), 2), (("a" * (MOST + 1), ""), 2), (("\u00e9", "a"), 2)],
)
def test_only_short_texts_are_remembered(texts: tuple[str, str], worked: int) -> None:
    done: list[tuple[str, ...]] = []

    @remembered(8)
    def of_both(first: str, second: str) -> str:
        done.append((first, second))
        return first + second

    @remembered(8)
    def of_one(text: str) -> str:
        done.append((text,))
        return text

    assert [of_both(*texts), of_both(*texts)] == ["".join(texts)] * 2
    assert len(done) == worked
    done.clear()
    assert [of_one(texts[0]), of_one(texts[0])] == [texts[0]] * 2
    assert len(done) == (1 if len(texts[0]) <= MOST and texts[0].isascii() else 2)


def test_the_latest_calls_are_remembered() -> None:
    done: list[str] = []
    of = remembered(2)(done.append)
    for text in ("a", "b", "a", "c", "b", "c"):
        of(text)
    assert done == ["a", "b", "c", "b"]


def test_a_function_of_any_number_of_texts_is_remembered_by_all_of_them() -> None:
    done: list[tuple[str, ...]] = []

    @remembered(8)
    def joined(*texts: str) -> str:
        done.append(texts)
        return "".join(texts)

    assert [joined("a", "b"), joined("a", "b"), joined("ab"), joined("ab")] == ["ab"] * 4
    assert done == [("a", "b"), ("ab",)]
