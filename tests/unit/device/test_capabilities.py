"""What hellos mean, and which servers are not trusted with confirmed commit."""

from __future__ import annotations

import pytest

from controller.device.capabilities import capabilities_of

C = "urn:ietf:params:netconf:capability:"
BASE = ("urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1", f"{C}candidate:1.0")


def test_persist_needs_version_1_1() -> None:
    assert not capabilities_of((*BASE, f"{C}confirmed-commit:1.0")).confirmed_commit
    assert capabilities_of((*BASE, f"{C}confirmed-commit:1.1")).safe_commit


def test_who_can_have_a_list_of_active_alarms_is_asked_for_it() -> None:
    assert not capabilities_of(BASE).lists_alarms
    for sign in ("urn:o-ran:fm:1.0?module=o-ran-fm&revision=2022-08-15", f"{C}yang-library:1.1?revision=2019-01-04"):
        assert capabilities_of((*BASE, sign)).lists_alarms


def test_a_plain_device_offers_nothing() -> None:
    plain = capabilities_of((BASE[0], f"{C}writable-running:1.0", f"{C}startup:1.0"))
    assert (plain.candidate, plain.safe_commit, plain.validate) == (False, False, False)
    assert plain.writable_running
    assert plain.startup


@pytest.mark.parametrize(
    "sign",
    [
        "http://clicon.org/lib?module=clixon-lib&revision=2025-12-01",
        "urn:ietf:params:xml:ns:yang:1?module=yang&revision=2025-01-29",
    ],
    ids=["clixon", "netopeer2"],
)
def test_servers_known_to_get_it_wrong_are_not_trusted(sign: str) -> None:
    capabilities = capabilities_of((*BASE, f"{C}confirmed-commit:1.1", sign))
    assert capabilities.confirmed_commit
    assert not capabilities.safe_commit


def test_a_module_that_imports_yang_metadata_is_no_sign() -> None:
    hello = (*BASE, f"{C}confirmed-commit:1.1", "urn:ietf:params:xml:ns:yang:ietf-yang-types?module=ietf-yang-types")
    assert capabilities_of(hello).trustworthy
