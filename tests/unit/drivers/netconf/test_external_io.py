"""External inputs on the wire."""

from __future__ import annotations

import pytest
from lxml import etree

from controller.drivers.netconf.external_io import decode_inputs


def said(*entries: str) -> etree._Element:
    """A station's answer with these inputs."""
    found = "".join(f"<input>{one}</input>" for one in entries)
    return etree.fromstring(f'<data><external-io xmlns="urn:o-ran:external-io:1.0">{found}</external-io></data>')


@pytest.mark.parametrize(
    ("line", "is_open"),
    [
        ("<line-in>true</line-in>", True),
        ("<line-in> false </line-in>", False),
        ("<line-in/>", None),
        ("<line-in> </line-in>", None),
        ("<line-in>1</line-in>", None),
        ("<line-in>TRUE</line-in>", None),
    ],
)
@pytest.mark.parametrize("trims", [False, True])
def test_an_input_is_open_or_closed_or_unknown(line: str, is_open: bool | None, trims: bool) -> None:
    assert decode_inputs(said(f"<name>di-1</name>{line}"), trims=trims).get("di-1") is is_open


def test_a_missing_line_is_open_only_where_the_server_trims_defaults() -> None:
    assert decode_inputs(said("<name>di-1</name>"), trims=True) == {"di-1": True}
    assert decode_inputs(said("<name>di-1</name>")) == {}


def test_inputs_without_a_usable_name_or_with_two_states_tell_nothing() -> None:
    opened, closed = "<line-in>true</line-in>", "<line-in>false</line-in>"
    found = decode_inputs(
        said(
            opened,
            f"<name/>{opened}",
            f"<name>{'x' * 256}</name>{opened}",
            f"<name>twice</name>{opened}",
            f"<name>twice</name>{closed}",
            f"<name>twice</name>{opened}",
            f"<name>same</name>{closed}",
            f"<name>same</name>{closed}",
            f"<name>{'y' * 255}</name>{closed}",
        )
    )
    assert found == {"same": False, "y" * 255: False}


def test_a_station_may_list_any_number_of_inputs() -> None:
    found = decode_inputs(said(*(f"<name>di-{number}</name><line-in>true</line-in>" for number in range(5000))))
    assert list(found) == [f"di-{number}" for number in range(256)]


def test_others_data_is_none() -> None:
    assert (
        decode_inputs(etree.fromstring("<data><external-io><input><name>x</name></input></external-io></data>")) == {}
    )
