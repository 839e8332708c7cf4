"""Notices are written each round, and sent until they are taken; one that is not keeps no other from being sent."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from controller.models.errors import InputError
from controller.runs.approval.notices import Notices


class Post:
    """Record and webhook in one.

    Attributes:
        unsent_ones: Notices that wait to be sent, by id.
        refused: Ids that the webhook does not take.
    """

    def __init__(self, *ids: str) -> None:
        self.unsent_ones, self.refused = list(ids), set[str]()
        self.did: list[str] = []
        self.notices = self

    async def write(self) -> None:
        self.did.append("write")

    async def withhold(self) -> None:
        self.did.append("withhold")

    async def unsent(self, at_once: int) -> list[Any]:
        return [
            SimpleNamespace(id=one, tenant="alfa", model_dump=lambda one=one, **_: {"id": one})
            for one in self.unsent_ones[:at_once]
        ]

    async def mark_sent(self, notice: str) -> None:
        self.unsent_ones.remove(notice)

    async def post(self, body: Mapping[str, Any], key: str) -> None:
        if key in self.refused:
            raise InputError("the other side is away")
        assert body == {"notice": {"id": key}}
        self.did.append(key)


async def test_what_is_not_taken_is_sent_again_and_keeps_no_other_from_being_sent() -> None:
    post = Post("a", "b", "c")
    post.refused = {"a"}
    await Notices(post, post).step()  # type: ignore[arg-type]
    assert post.did == ["write", "b", "c"]
    assert post.unsent_ones == ["a"]
    post.refused = set()
    await Notices(post, post).step()  # type: ignore[arg-type]
    assert post.did[3:] == ["write", "a"]
    assert post.unsent_ones == []


async def test_where_nobody_passes_them_on_they_are_on_record_only() -> None:
    post = Post("a")
    await Notices(post, None).step()  # type: ignore[arg-type]
    assert post.did == ["write", "withhold"]
