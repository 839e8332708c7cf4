"""Containers with presence, which our stations lack but the compiler takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from simulators.datastore import Config, RpcError, RpcErrors, Schema
from simulators.datastore.compiler import compile_schema
from tests.unit.simulators.datastore.documents import edit


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    (tmp_path / "toy.yang").write_text(
        """module toy { namespace "urn:toy"; prefix t;
        container on { presence "switched on"; leaf must-be { type string; mandatory true; }
          leaf level { type uint8; default 3; } }
        leaf-list names { type string; ordered-by user; max-elements 2; } }"""
    )
    return compile_schema([tmp_path], ["toy"])


def on(attributes: str = "", content: str = "") -> etree._Element:
    return edit(f'<on xmlns="urn:toy" {attributes}>{content}</on>')


def names(*values: str, attributes: str = "") -> etree._Element:
    return edit("".join(f'<names xmlns="urn:toy" {attributes}>{value}</names>' for value in values))


def test_an_empty_one_is_something(schema: Schema) -> None:
    empty = Config.empty(schema)
    there = empty.edit(on())
    assert there != empty
    assert there.to_text() == '<on xmlns="urn:toy"></on>'
    assert there.edit(on('nc:operation="delete"'), "none") == empty
    for config, document, default, tag in (
        (there, on('nc:operation="create"'), "none", "data-exists"),
        (empty, on('nc:operation="delete"'), "none", "data-missing"),
        (empty, on(), "none", "data-missing"),
    ):
        with pytest.raises(RpcError, match=tag):
            config.edit(document, default)


def test_reading(schema: Schema) -> None:
    empty = Config.empty(schema)
    assert empty.root.child("on") is None
    found = empty.edit(on()).root.child("on")
    assert found is not None
    assert found.leaf("level") == "3"


def test_what_it_holds_is_asked_for_when_it_is_there(schema: Schema) -> None:
    Config.empty(schema).validate()
    with pytest.raises(RpcErrors, match="must-be is mandatory"):
        Config.empty(schema).edit(on()).validate()
    Config.empty(schema).edit(on("", "<must-be>x</must-be>")).validate()


def test_defaults_appear_when_it_is_there(schema: Schema) -> None:
    assert Config.empty(schema).to_text(with_defaults="report-all") == ""
    assert "<level>3</level>" in Config.empty(schema).edit(on()).to_text(with_defaults="report-all")


def test_a_leaf_list_in_the_users_order(schema: Schema) -> None:
    config = Config.empty(schema).edit(names("b", "a"))
    assert config.root.leaves("names") == ("b", "a")
    first = config.edit(names("c", attributes='yang:insert="before" yang:value="a"'))
    assert first.root.leaves("names") == ("b", "c", "a")
    assert first.edit(names("a", attributes='yang:insert="first"')).root.leaves("names") == ("a", "b", "c")
    for attributes, text in (
        ('yang:insert="after"', "missing-attribute.*needs the attribute value"),
        ('yang:insert="after" yang:value="x"', "bad-attribute.*no other value"),
    ):
        with pytest.raises(RpcError, match=text):
            config.edit(names("c", attributes=attributes))
    with pytest.raises(RpcErrors, match="at most 2"):
        first.validate()
