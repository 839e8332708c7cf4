from __future__ import annotations

import pytest

from controller.models.remembered import MOST, remembered


@pytest.mark.parametrize(
    ("texts", "worked"),
    [(("a", "b"), 1), (("a" * MOST,), 1), (("a" * MOST, "b"), 2), (("a" * (MOST + 1),), 2), (("\u00e9",), 2)],
)
def test_only_short_texts_are_remembered(texts: tuple[str, ...], worked: int) -> None:
    done: list[tuple[str, ...]] = []

    @remembered(8)
    def of(*given: str) -> str:
        done.append(given)
        return "".join(given)

    assert [of(*texts), of(*texts)] == ["".join(texts)] * 2
    assert len(done) == worked


def test_the_latest_calls_are_remembered() -> None:
    done: list[str] = []
    of = remembered(2)(done.append)
    for text in ("a", "b", "a", "c", "b", "c"):
        of(text)
    assert done == ["a", "b", "c", "b"]
