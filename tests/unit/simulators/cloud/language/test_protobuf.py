"""Protocol buffers as kubectl sends them, read as JSON."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cloud.language.protobuf import decode


def field(number: int, value: int | bytes | str) -> bytes:
    """One field as it stands on the wire."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value % 2**64)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def body(version: str, kind: str, message: bytes) -> bytes:
    """A whole body."""
    return b"k8s\0" + field(1, field(1, version) + field(2, kind)) + field(2, message)


def test_a_deployment_with_lists_maps_quantities_and_numbers() -> None:
    metadata = field(1, "p") + field(3, "default") + field(8, b"") + field(11, field(1, "nf") + field(2, "du"))
    request = field(1, "cpu") + field(2, field(1, "600m"))
    probe = field(1, field(3, field(1, field(1, 1) + field(3, "health")))) + field(2, 5)
    container = (
        field(1, "c")
        + field(2, "i:1")
        + field(3, "run")
        + field(3, "-v")
        + field(8, field(2, request))
        + field(10, probe)
    )
    spec = field(2, container) + field(4, -1) + field(11, 1)
    template = field(3, field(1, metadata) + field(2, spec))
    found = decode(body("apps/v1", "Deployment", field(2, field(1, 2) + template)))
    assert (found["apiVersion"], found["kind"], found["spec"]["replicas"]) == ("apps/v1", "Deployment", 2)
    assert found["spec"]["template"] == {
        "metadata": {"name": "p", "namespace": "default", "creationTimestamp": None, "labels": {"nf": "du"}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "i:1",
                    "command": ["run", "-v"],
                    "resources": {"requests": {"cpu": "600m"}},
                    "livenessProbe": {"tcpSocket": {"port": "health"}, "initialDelaySeconds": 5},
                }
            ],
            "terminationGracePeriodSeconds": -1,
            "hostNetwork": True,
        },
    }


def test_data_times_and_options() -> None:
    secret = decode(body("v1", "Secret", field(2, field(1, "k") + field(2, b"\x00\x01"))))
    assert secret["data"] == {"k": "AAE="}
    approved = field(1, "Approved") + field(4, field(1, 1_750_000_000) + field(2, 5_000))
    request = decode(body("certificates.k8s.io/v1", "CertificateSigningRequest", field(3, field(1, approved))))
    assert request["status"] == {"conditions": [{"type": "Approved", "lastUpdateTime": "2025-06-15T15:06:40Z"}]}
    options = decode(body("v1", "DeleteOptions", field(1, 0) + field(2, field(1, "u")) + field(4, "Background")))
    assert (options["gracePeriodSeconds"], options["preconditions"], options["propagationPolicy"]) == (
        0,
        {"uid": "u"},
        "Background",
    )


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"{}", "no prefix"),
        (body("v1", "Nonsense", b""), 'kind "Nonsense" of version "v1" is not known'),
        (body("v1", "Namespace", field(1, "p")[:-1]), "too early"),
        (body("v1", "Namespace", b"\x80"), "ends in a number"),
        (body("v1", "Namespace", field(1, 5)), "a number in place of a message"),
        (body("v1", "Namespace", field(1, field(8, field(1, 2**62)))), "no time"),
    ],
)
def test_what_can_not_be_read_is_named(sent: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode(sent)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    with suppress(ValueError):
        decode(body("apps/v1", "Deployment", message))
