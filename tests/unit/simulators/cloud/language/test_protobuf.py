"""Protocol buffers as clients send them, read as JSON."""

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


def test_a_pod_with_lists_maps_quantities_and_numbers() -> None:
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
    assert decode(body("v1", "Pod", field(1, metadata) + field(2, spec))) == {
        "apiVersion": "v1",
        "kind": "Pod",
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
    lease = field(2, field(1, "a") + field(3, field(1, 1_750_000_000) + field(2, 5_000)))
    assert decode(body("coordination.k8s.io/v1", "Lease", lease))["spec"] == {
        "holderIdentity": "a",
        "acquireTime": "2025-06-15T15:06:40.000005Z",
    }
    options = decode(body("v1", "DeleteOptions", field(1, 0) + field(2, field(1, "u")) + field(4, "Background")))
    assert (options["gracePeriodSeconds"], options["preconditions"], options["propagationPolicy"]) == (
        0,
        {"uid": "u"},
        "Background",
    )


def test_versions_of_a_group_are_told_apart() -> None:
    target = field(1, field(1, "Deployment") + field(2, "web"))
    cpu = field(1, "Resource") + field(4, field(1, "cpu") + field(2, field(1, "Utilization") + field(4, 50)))
    held = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    first = decode(body("autoscaling/v1", "HorizontalPodAutoscaler", field(2, target + field(3, 3) + field(4, 50))))
    assert first["spec"] == {**held, "targetCPUUtilizationPercentage": 50}
    second = decode(body("autoscaling/v2", "HorizontalPodAutoscaler", field(2, target + field(3, 3) + field(4, cpu))))
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    assert second["spec"] == {**held, "metrics": [{"type": "Resource", "resource": metric}]}


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"{}", "no prefix"),
        (body("v1", "Nonsense", b""), 'kind "Nonsense" of version "v1" is not known'),
        (body("v1", "Pod", field(1, "p")[:-1]), "too early"),
        (body("v1", "Pod", b"\x80"), "ends in a number"),
        (body("v1", "Pod", field(1, 5)), "a number in place of a message"),
        (body("v1", "Pod", field(1, field(8, field(1, 2**62)))), "no time"),
    ],
)
def test_what_can_not_be_read_is_named(sent: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decode(sent)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    with suppress(ValueError):
        decode(body("v1", "Pod", message))
