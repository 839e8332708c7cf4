"""The client of a pool's API: what is sent, and what becomes of answers that are late, half, false, or none."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from controller.drivers.kubernetes import api as under_test
from controller.drivers.kubernetes.api import MOST_PAGES, BusyError, ExpiredError, ForeignWriterError
from controller.drivers.kubernetes.codec import NAMESPACE, POD, Place
from controller.drivers.kubernetes.session import CloudSession
from controller.drivers.kubernetes.target import KubernetesTarget
from controller.models.equipment import Operation, OperationKind
from controller.models.errors import (
    AuthenticationError,
    DeviceError,
    DeviceRefusedError,
    HostKeyError,
    NotPermittedError,
    SessionLostError,
    UnreachableError,
)
from controller.models.metrics import Observations, sums_and_states
from controller.ports.clock import SystemClock
from controller.ports.secrets import FakeSecrets
from tests.unit.drivers.kubernetes.server import (
    AUTHORITY,
    OTHERS,
    PLACE,
    POOL,
    TOKEN,
    Answering,
    ReceivedRequest,
    reply,
    serving,
    status,
    wire,
)

DU = {
    "apiVersion": PLACE.kind.api,
    "kind": PLACE.kind.name,
    "metadata": {"name": "du-1", "namespace": "minka-host", "uid": "u1", "resourceVersion": "7"},
}
NOT_FOUND = status(404, "NotFound", 'nfdeployments.workload.nephio.org "du-1" not found') | {
    "details": {"name": "du-1", "group": "workload.nephio.org", "kind": "nfdeployments"}
}


class Impatient(SystemClock):
    """A clock on which nobody sleeps, and that tells for how long somebody would have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_an_object_is_read_with_the_token_and_no_other_way_around() -> None:
    async with serving(reply(200, DU)) as server:
        api = server.api()
        assert await api.get(PLACE) == DU
        await api.close()
    (asked,) = server.asked
    assert (asked.method, asked.path) == (
        "GET",
        "/apis/workload.nephio.org/v1alpha1/namespaces/minka-host/nfdeployments/du-1",
    )
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


async def test_tcp_notices_that_a_silent_server_is_gone() -> None:
    async with serving(reply(200, DU)) as server:
        api = server.api()
        async with api._opened() as opened, opened.client.stream("GET", PLACE.url) as response:
            connection = response.extensions["network_stream"].get_extra_info("socket")
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, apart, times = (
                connection.getsockopt(socket.IPPROTO_TCP, one)
                for one in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle + apart * times <= 60
        await api.close()


async def test_an_api_may_be_below_a_path() -> None:
    async with serving(reply(200, DU)) as server:
        assert await server.api(path="/k8s/clusters/c-m-1").get(PLACE) == DU
    assert server.asked[0].path == f"/k8s/clusters/c-m-1{PLACE.url}"


async def test_what_a_server_says_is_not_there_is_not_there() -> None:
    async with serving(reply(404, NOT_FOUND)) as server:
        assert await server.api().get(PLACE) is None


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"<html>no such page</html>", id="page"),
        pytest.param(b"404 page not found\n", id="definition not installed"),
        pytest.param(status(404, "NotFound", 'Kubernetes cluster "edge-1" not found'), id="cluster of a proxy"),
        pytest.param({"type": "error", "status": "404", "message": "clusters not found"}, id="Rancher"),
    ],
)
async def test_what_a_proxy_does_not_find_is_no_proof(said: Any) -> None:
    async with serving(reply(404, said)) as server:
        api = server.api()
        with pytest.raises(DeviceRefusedError, match="knows no nfdeployments"):
            await api.get(PLACE)
        with pytest.raises(DeviceRefusedError):
            await api.delete(PLACE, {"uid": "u1"}, dry_run=False)


def hangs() -> Answering:
    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.Event().wait()

    return answer


def hangs_up() -> Answering:
    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{")
        writer.close()

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(hangs(), id="late"),
        pytest.param(hangs_up(), id="half"),
        pytest.param(reply(200, b""), id="nothing"),
        pytest.param(reply(200, b"<html>"), id="no JSON"),
        pytest.param(reply(200, []), id="no object"),
        pytest.param(reply(200, b'{"a":' * 100 + b"1" + b"}" * 100), id="deep"),
        pytest.param(reply(200, {**DU, "kind": "Secret"}), id="another kind"),
        pytest.param(reply(200, {**DU, "metadata": {"name": "du-2"}}), id="another object"),
        pytest.param(reply(200, {**DU, "metadata": None}), id="no metadata"),
        pytest.param(reply(500, {"code": "x", "details": {"causes": [7]}, "message": [1]}), id="odd failure"),
        pytest.param(reply(301, b"", Location="https://192.0.2.1/"), id="elsewhere"),
        pytest.param(reply(503, b"no backend"), id="proxy"),
        pytest.param(reply(500, status(500, "InternalError", "etcd is away")), id="broken"),
    ],
)
async def test_an_answer_of_no_use_leaves_open_what_became_of_the_request(answer: Answering) -> None:
    async with serving(answer) as server:
        api = server.api(timeout=0.3)
        with pytest.raises(SessionLostError) as caught:
            await api.apply(PLACE, DU, dry_run=False)
        await api.close()
    told(caught.value)


async def test_of_a_silent_server_all_that_is_read_at_once_takes_as_long_as_one_request() -> None:
    async with serving(hangs()) as server:
        api = server.api(timeout=0.3)
        found = await asyncio.gather(*(api.get(PLACE) for _ in range(60)), return_exceptions=True)
        await api.close()
    assert {type(one) for one in found} == {SessionLostError}
    assert len(server.asked) <= 6, "others did not wait for a time-out of their own"


async def test_an_answer_without_an_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "LARGEST", 1000)
    async with serving(reply(200, {**DU, "spec": {"x": "x" * 2000}})) as server:
        with pytest.raises(SessionLostError, match="larger"):
            await server.api().get(PLACE)


async def test_apply_never_forces_and_names_the_other_writer() -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "porch"', "field": ".spec.image"}
    async with serving(reply(409, status(409, "Conflict", "Apply failed with 1 conflict", cause))) as server:
        with pytest.raises(ForeignWriterError, match=r'conflict with "porch": spec\.image'):
            await server.api().apply(PLACE, DU, dry_run=True)
    (asked,) = server.asked
    assert asked.query == {"fieldManager": "minka", "dryRun": "All", "timeout": "4s"}
    assert asked.headers["content-type"] == "application/apply-patch+yaml"


async def test_a_delete_that_is_only_tried_says_so_where_servers_look() -> None:
    async with serving(reply(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})) as server:
        await server.api().delete(PLACE, {"uid": "u1"}, dry_run=True)
    assert server.asked[0].body["dryRun"] == ["All"]


async def test_it_is_noted_how_long_answers_took() -> None:
    seen = Observations()
    async with serving(reply(200, DU)) as server:
        api = server.api(observations=seen)
        await api.get(PLACE)
        await api.apply(PLACE, DU, dry_run=True)
        await api.apply(PLACE, DU, dry_run=False)
    async with serving(hangs_up()) as server:
        with pytest.raises(SessionLostError):
            await server.api(observations=seen).get(PLACE)
    sums, _ = sums_and_states(seen.encoded())
    answered = {("get", "answered"), ("dry-run", "answered"), ("apply", "answered"), ("get", "lost")}
    assert set(sums["minka_kubernetes_request_duration_seconds"]) == answered


async def test_a_quota_that_is_used_up_refuses() -> None:
    said = status(403, "Forbidden", 'nfdeployments "du-1" is forbidden: exceeded quota: minka')
    async with serving(reply(403, said)) as server:
        with pytest.raises(DeviceRefusedError, match="exceeded quota: minka"):
            await server.api().apply(PLACE, DU, dry_run=False)


async def test_a_namespace_that_is_not_there_comes_with_its_pool() -> None:
    said = status(404, "NotFound", 'namespaces "minka-host" not found') | {"details": {"kind": "namespaces"}}
    async with serving(reply(404, said)) as server:
        with pytest.raises(DeviceRefusedError, match='"minka-host" not found: plan and apply pool=edge-1 first'):
            await server.api().apply(PLACE, DU, dry_run=True)


async def test_a_delete_names_the_very_object() -> None:
    async with serving(reply(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})) as server:
        await server.api().delete(PLACE, {"uid": "u1", "resourceVersion": "7"}, dry_run=False)
    assert server.asked[0].body["preconditions"] == {"uid": "u1", "resourceVersion": "7"}


async def test_a_delete_of_what_is_gone_is_done() -> None:
    async with serving(reply(404, NOT_FOUND)) as server:
        await server.api().delete(PLACE, {"uid": "u1"}, dry_run=False)


async def test_an_overloaded_server_is_asked_again_when_it_says() -> None:
    busy = status(429, "TooManyRequests", "too many requests")
    answers = [wire(429, busy, Retry_After="3"), wire(429, busy), wire(200, DU)]

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    clock = Impatient()
    async with serving(answer) as server:
        assert await server.api(clock).get(PLACE) == DU
    assert clock.slept == [3.0, 1.0]


async def test_what_changes_something_is_not_sent_again_by_itself() -> None:
    busy = {**status(429, "TooManyRequests", "too many requests"), "details": {"retryAfterSeconds": 3}}
    async with serving(reply(429, busy)) as server:
        with pytest.raises(BusyError) as caught:
            await server.api(Impatient()).apply(PLACE, DU, dry_run=False)
    assert len(server.asked) == 1
    assert caught.value.seconds == 3


async def test_the_header_says_when_a_write_may_come_again() -> None:
    async with serving(reply(429, b"Too many requests, please try again later.\n", Retry_After="7")) as server:
        with pytest.raises(BusyError) as caught:
            await server.api(Impatient()).apply(PLACE, DU, dry_run=False)
    assert caught.value.seconds == 7


async def test_what_does_not_fit_its_definition_is_refused_and_not_lost() -> None:
    said = (
        "failed to create typed patch object (minka-host/du-1; workload.nephio.org/v1alpha1, Kind=NFDeployment): "
        ".spec.image: field not declared in schema"
    )
    async with serving(reply(500, status(500, "", said))) as server:
        with pytest.raises(DeviceRefusedError, match=r"another definition of it: .*spec\.image: field not declared"):
            await server.api().apply(PLACE, DU, dry_run=True)
    async with serving(reply(500, status(500, "", "etcdserver: request timed out"))) as server:
        with pytest.raises(SessionLostError):
            await server.api().apply(PLACE, DU, dry_run=True)


async def test_a_webhook_that_does_not_answer_is_a_refusal_that_may_pass() -> None:
    """Admission comes before the store, so nothing was written: it is not unknown what became of the write."""
    said = 'Internal error occurred: failed calling webhook "policy.example": failed to call webhook: Post "https://x"'
    async with serving(reply(500, status(500, "InternalError", said))) as server:
        for dry_run in (True, False):
            with pytest.raises(
                BusyError, match=r"writes nothing: its admission webhook policy\.example does not answer"
            ):
                await server.api(Impatient()).apply(PLACE, DU, dry_run=dry_run)


def one_by_one(*answers: Answering) -> Answering:
    """Answers in turn; the last one again and again."""
    left = list(answers)

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return answer


async def test_what_only_reads_is_read_again_where_its_connection_broke() -> None:
    async with serving(one_by_one(hangs_up(), reply(200, DU))) as server:
        assert await server.api().get(PLACE) == DU
    async with serving(hangs_up()) as server:
        with pytest.raises(SessionLostError):
            await server.api().get(PLACE)
    assert len(server.asked) == 2
    async with serving(one_by_one(hangs_up(), reply(200, DU))) as server:
        with pytest.raises(SessionLostError):
            await server.api().apply(PLACE, DU, dry_run=False)
        assert len(server.asked) == 1, "what changes something may have been carried out"


async def test_a_server_that_starts_or_ends_is_asked_again_when_it_says() -> None:
    ending = reply(503, status(503, "ServiceUnavailable", "apiserver is shutting down."), Retry_After="4")
    clock = Impatient()
    async with serving(one_by_one(ending, reply(200, DU))) as server:
        assert await server.api(clock).get(PLACE) == DU
    assert clock.slept == [4.0]
    async with serving(one_by_one(ending, reply(200, DU))) as server:
        with pytest.raises(SessionLostError, match="shutting down"):
            await server.api(clock).apply(PLACE, DU, dry_run=False)
    async with serving(one_by_one(reply(503, b"<html>no backend</html>"), reply(200, DU))) as server:
        with pytest.raises(SessionLostError, match="HTTP 503"):
            await server.api(clock).get(PLACE)


async def test_a_page_that_is_too_large_is_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "LARGEST", 100_000)
    nodes = [{"metadata": {"name": f"du-{number}"}, "spec": {"x": "x" * 2000}} for number in range(200)]

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        begin, limit = int(asked.query.get("continue", "0")), int(asked.query["limit"])
        more = {"continue": str(begin + limit)} if begin + limit < len(nodes) else {}
        writer.write(wire(200, {"metadata": more, "items": nodes[begin : begin + limit]}))

    async with serving(answer) as server:
        found = await server.api().list(PLACE._replace(name=""))
    assert [one["metadata"]["name"] for one in found] == [one["metadata"]["name"] for one in nodes]
    async with serving(reply(200, {"metadata": {}, "items": [{"x": "x" * 200_000}]})) as server:
        with pytest.raises(SessionLostError, match="larger"):
            await server.api().list(PLACE._replace(name=""))


@pytest.mark.parametrize(("bound", "most"), [("MOST_LISTED", 1_000_000), ("MOST_VALUES", 10_000)])
async def test_pages_of_a_list_are_bounded_together(monkeypatch: pytest.MonkeyPatch, bound: str, most: int) -> None:
    room = {"size": most} if bound == "MOST_LISTED" else {"values": most}
    monkeypatch.setattr(under_test, "Room", partial(under_test.Room, **room))
    node = {"metadata": {"name": "du-1"}, "spec": {"x": "x" * 100_000, "y": [1] * 1000}}

    async def endless(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(wire(200, {"metadata": {"continue": "more"}, "items": [node]}))

    async def array(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(wire(200, [node], Link='</next?marker=1>; rel="next"'))

    async with serving(endless) as server:
        api = server.api()
        with pytest.raises(SessionLostError, match="its list has more than 32 MiB or 1000000 values"):
            await api.list(PLACE._replace(name=""))
        assert len(server.asked) == 10
        server.answer = array
        with pytest.raises(SessionLostError, match="its list has more than"):
            await api.items("/o2ims-infrastructureMonitoring/v1/alarms")
        assert len(server.asked) == 20
        await api.close()


async def test_a_page_of_very_many_values_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(reply(200, {"metadata": {}, "items": [[]] * 300_000})) as server:
        with pytest.raises(SessionLostError, match="too large"):
            await server.api().list(PLACE._replace(name=""))


@pytest.mark.parametrize("long", [{"name": "d" * 254}, {"name": "du-1", "namespace": "n" * 254}])
async def test_an_object_of_a_name_that_no_server_takes_is_none(long: dict[str, str]) -> None:
    async with serving(reply(200, {"metadata": {}, "items": [{"metadata": long}]})) as server:
        with pytest.raises(SessionLostError, match="it is not NFDeployment"):
            await server.api().list(PLACE._replace(name=""))


async def test_of_thousands_of_namespaces_only_those_of_minka_are_kept() -> None:
    names = [f"team-{number}" for number in range(2000)] + ["minka-host"]

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        begin = int(asked.query.get("continue", "0"))
        more = {"continue": str(begin + 250)} if begin + 250 < len(names) else {}
        items = [{"metadata": {"name": name}} for name in names[begin : begin + 250]]
        writer.write(wire(200, {"metadata": more, "items": items}))

    async with serving(answer) as server:
        found = await server.api().list(Place(POOL, NAMESPACE, "", ""))
    assert [one["metadata"]["name"] for one in found] == ["minka-host"]


async def test_an_empty_list_may_have_null_for_items() -> None:
    async with serving(reply(200, {"metadata": {}, "items": None})) as server:
        assert await server.api().list(PLACE) == []


async def test_a_server_that_is_always_overloaded_refuses() -> None:
    async with serving(reply(429, status(429, "TooManyRequests", "too many requests"))) as server:
        with pytest.raises(DeviceRefusedError, match="too many requests"):
            await server.api(Impatient()).get(PLACE)


async def test_a_list_is_read_page_by_page_and_anew_where_a_page_is_forgotten() -> None:
    gone = status(410, "Expired", "The provided continue parameter is too old")
    bare = {"metadata": DU["metadata"]}
    answers = [
        wire(200, {"metadata": {"continue": "c1"}, "items": [bare]}),
        wire(410, gone),
        wire(200, {"metadata": {"continue": "c2"}, "items": [bare]}),
        wire(200, {"metadata": {}, "items": [bare]}),
    ]

    async def answer(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    async with serving(answer) as server:
        found = await server.api().list(PLACE._replace(name=""))
    assert [one["kind"] for one in found] == ["NFDeployment", "NFDeployment"]
    assert [asked.query.get("continue") for asked in server.asked] == [None, "c1", None, "c2"]


# --------------------------------------------------------------------------- who is there


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"authority": "other-ca"}, HostKeyError, "not accepted"),
        ({"certificate": "sha256:" + "0" * 64}, HostKeyError, "another certificate than the pinned one"),
        ({"address": "localhost"}, HostKeyError, "not accepted"),
        ({"authority": "no-certificate"}, AuthenticationError, "holds no certificate"),
        ({"credential": "nobody"}, AuthenticationError, "leads nowhere"),
        ({"credential": "empty"}, AuthenticationError, "the token 'empty' is empty"),
        ({"credential": "unknown"}, AuthenticationError, "no credential 'unknown'"),
        ({"port": 1}, UnreachableError, "can't be reached"),
    ],
)
async def test_nothing_is_sent_to_whom_it_is_not_for(
    changes: dict[str, Any], kind: type[DeviceError], reason: str
) -> None:
    async with serving(reply(200, DU)) as server:
        with pytest.raises(kind, match=reason) as caught:
            await server.api(**changes).get(PLACE)
    assert server.asked == []
    told(caught.value)


async def test_the_pinned_certificate_is_accepted() -> None:
    async with serving(reply(200, DU)) as server:
        pinned = AUTHORITY.fingerprint(POOL, "127.0.0.1")
        assert await server.api(certificate=pinned).get(PLACE) == DU


async def test_a_secret_goes_to_its_networks_only() -> None:
    async with serving(reply(200, DU)) as server:
        with pytest.raises(AuthenticationError, match="outside of the networks"):
            await server.api(address="192.0.2.1").get(PLACE)
    assert server.asked == []


async def test_a_refused_token_is_named_and_not_told() -> None:
    async with serving(reply(401, status(401, "Unauthorized", "Unauthorized"))) as server:
        with pytest.raises(AuthenticationError, match="refused token") as caught:
            await server.api().get(PLACE)
    told(caught.value)


async def test_a_token_that_was_replaced_on_disk_is_taken_at_once() -> None:
    """Tokens of service accounts end each hour; whoever gives them out writes the next one over the last."""
    token = TOKEN

    class Replaced(FakeSecrets):
        def resolve(self, name: str, address: str) -> SecretStr:
            return SecretStr(token) if name == "token" else super().resolve(name, address)

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        known = asked.headers["authorization"] == "Bearer the-next-one"
        writer.write(wire(200, DU) if known else wire(401, status(401, "Unauthorized", "Unauthorized")))

    async with serving(answer) as server:
        api = server.api(secrets=Replaced({"ca": AUTHORITY.certificate, "token": TOKEN}))
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await api.get(PLACE)
        assert len(server.asked) == 2, "the same token is not shown twice for one request"
        token = "the-next-one"
        found = await asyncio.gather(*(api.get(PLACE) for _ in range(5)))
        assert found == [DU] * 5
        token = TOKEN
        await api.close()
        with pytest.raises(AuthenticationError):
            await api.get(PLACE)
        token = "the-next-one"
        with pytest.raises(BusyError, match=r"refused token .* Our secrets were replaced") as caught:
            await api.apply(PLACE, DU, dry_run=False)
        assert caught.value.seconds == 0, "whoever writes checks again whether he may, and then comes again"
        told(caught.value)
        assert (await api.apply(PLACE, DU, dry_run=False)).body == DU
        await api.close()


async def test_an_authority_that_was_replaced_on_disk_is_believed_at_once() -> None:
    authority = OTHERS.certificate

    class Replaced(FakeSecrets):
        def resolve(self, name: str, address: str) -> SecretStr:
            return SecretStr(authority) if name == "ca" else super().resolve(name, address)

    async with serving(reply(200, DU)) as server:
        api = server.api(secrets=Replaced({"ca": AUTHORITY.certificate, "token": TOKEN}))
        with pytest.raises(HostKeyError):
            await api.get(PLACE)
        # Both are in the file while certificates are renewed.
        authority = OTHERS.certificate + AUTHORITY.certificate
        assert await api.get(PLACE) == DU
        await api.close()


async def test_a_name_with_several_addresses_is_reached_at_any_and_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ["127.0.0.9", "127.0.0.1"]

    async def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, 0)) for address in found]

    async with serving(reply(200, DU, Connection="close")) as server:
        api = server.api(address=POOL)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        assert await api.get(PLACE) == DU
        assert server.asked[0].headers["host"] == f"{POOL}:{server.target.port}"
        found[:] = ["127.0.0.1"]
        assert await api.get(PLACE) == DU
        # Managed control planes move to other addresses.
        await api.close()
        found[:] = ["127.0.0.9"]
        with pytest.raises(UnreachableError):
            await api.get(PLACE)
        found[:] = ["127.0.0.1"]
        assert await api.get(PLACE) == DU
        await api.close()


async def test_what_an_account_may_not_do_is_named_and_a_full_quota_is_none_of_that() -> None:
    lacks = 'pods is forbidden: User "minka" cannot list resource "pods" in API group "" at the cluster scope'
    async with serving(reply(403, status(403, "Forbidden", lacks))) as server:
        with pytest.raises(
            NotPermittedError, match='lets us in as minka, who may not list pods in API group ""'
        ) as caught:
            await server.api().get(PLACE)
    assert "deploy/kubernetes/minka.yaml" in caught.value.message
    told(caught.value)
    full = 'nfdeployments "du-1" is forbidden: exceeded quota: minka, requested: cpu=8'
    async with serving(reply(403, status(403, "Forbidden", full))) as server:
        with pytest.raises(DeviceRefusedError, match="exceeded quota") as caught_too:
            await server.api().get(PLACE)
    assert type(caught_too.value) is DeviceRefusedError
    nobody = lacks.replace("minka", "system:anonymous")
    async with serving(reply(403, status(403, "Forbidden", nobody))) as server:
        with pytest.raises(AuthenticationError, match="takes no account of token"):
            await server.api().get(PLACE)


async def test_a_server_that_speaks_no_tls_is_said_to() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with serving(reply(200, DU)) as server, await asyncio.start_server(speak, "127.0.0.1", 0) as plain:
        api = server.api(port=plain.sockets[0].getsockname()[1])
        with pytest.raises(UnreachableError, match="is that the port of its API server") as caught:
            await api.get(PLACE)
    told(caught.value)


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    async with serving(reply(200, DU)) as server:
        assert await server.api().get(PLACE) == DU


def told(error: BaseException) -> None:
    """What is raised tells no secret, and nothing travels along with it."""
    assert TOKEN not in repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None


# --------------------------------------------------------------------------- watches


def event(kind: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {**DU, "metadata": {**DU["metadata"], "resourceVersion": version}}}  # type: ignore[dict-item]


async def test_an_event_that_comes_in_many_pieces_is_read_once() -> None:
    event = json.dumps({"type": "ADDED", "object": {"x": "x" * 3_000_000}}).encode() + b"\n"

    async def drips(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(event), 256):
            piece = event[at : at + 256]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")

    began = time.process_time()
    async with serving(drips) as server:
        (found,) = [one async for one in server.api(timeout=60).watch(PLACE, "7", 60)]
    assert len(found["object"]["x"]) == 3_000_000
    assert time.process_time() - began < 10, "what came was copied with each piece"


async def test_events_and_bookmarks_come_one_by_one() -> None:
    lines = b"".join(
        wire(200, event(*one)).split(b"\r\n\r\n")[1] + b"\n" for one in (("ADDED", "8"), ("BOOKMARK", "9"))
    )
    async with serving(reply(200, lines)) as server:
        assert [one["type"] async for one in server.api().watch(PLACE, "7", 30)] == ["ADDED", "BOOKMARK"]
    query = server.asked[0].query
    assert (query["watch"], query["allowWatchBookmarks"], query["resourceVersion"]) == ("true", "true", "7")


@pytest.mark.parametrize("inside", [True, False])
async def test_a_version_that_is_forgotten_is_told(*, inside: bool) -> None:
    gone = status(410, "Expired", "too old resource version: 7 (900)")
    answer = reply(200, {"type": "ERROR", "object": gone}) if inside else reply(410, gone)
    # The last line of a stream ends with a newline, too.
    if inside:
        answer = reply(200, wire(200, {"type": "ERROR", "object": gone}).split(b"\r\n\r\n")[1] + b"\n")
    async with serving(answer) as server:
        with pytest.raises(ExpiredError):
            _ = [one async for one in server.api().watch(PLACE, "7", 30)]


async def test_a_watch_that_breaks_is_lost() -> None:
    async with serving(hangs_up()) as server:
        with pytest.raises(SessionLostError) as caught:
            _ = [one async for one in server.api().watch(PLACE, "7", 30)]
    told(caught.value)


async def test_a_watch_unpacks_nothing_that_a_server_compressed_unasked() -> None:
    event = json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}).encode() + b"\n"
    async with serving(reply(200, gzip.compress(event), Content_Encoding="gzip")) as server:
        with pytest.raises(SessionLostError) as caught:
            _ = [one async for one in server.api().watch(PLACE, "7", 30)]
    told(caught.value)


@pytest.mark.parametrize("code", [500, 201])
async def test_an_eviction_under_two_budgets_is_a_refusal(code: int) -> None:
    """Kubernetes 1.36 answers 500, older versions a success of HTTP that says failure."""
    said = status(500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not")
    async with serving(reply(code, said)) as server:
        with pytest.raises(DeviceRefusedError, match="more than one PodDisruptionBudget"):
            await server.api().evict(PLACE, "u1")


async def test_another_authority_is_another_server() -> None:
    async with serving(reply(200, DU), certificate=OTHERS.station(POOL, "127.0.0.1")) as server:
        with pytest.raises(HostKeyError):
            await server.api().get(PLACE)
    assert server.asked == []


async def test_a_pod_is_evicted_once_its_budget_allows_that() -> None:
    labels = {"minka.dev/function": "DU-1"}
    pods = [
        {
            "metadata": {"name": name, "namespace": "minka-host", "uid": name, "labels": labels},
            "spec": {"nodeName": node},
        }
        for name, node in (("du-1-a", "n1"), ("du-1-b", "n2"))
    ]
    refusals = [status(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")] * 2

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if asked.method == "GET":
            writer.write(wire(200, {"metadata": {}, "items": pods}))
        elif refusals:
            writer.write(wire(429, refusals.pop()))
        else:
            writer.write(wire(201, {"kind": "Status", "status": "Success"}))

    async with serving(answer) as server:
        clock = Impatient()
        target = KubernetesTarget("DU-1", ("function",), pools=(server.target,), namespace="minka-host")
        session = CloudSession(target, {POOL: server.api(clock)}, clock, 1.0)
        assert (await session.equipment()).pods_on(f"{POOL}/n1") == (f"{POOL}/n1/du-1-a",)
        evict = Operation(kind=OperationKind.EVICT, subject=f"{POOL}/n1", seconds=60)
        assert await session.operate(evict) == ""
        said = [(one.path, one.body["deleteOptions"]) for one in server.asked if one.method == "POST"]
        assert (
            said == [("/api/v1/namespaces/minka-host/pods/du-1-a/eviction", {"preconditions": {"uid": "du-1-a"}})] * 3
        )
        assert len(clock.slept) == 2
        refusals += [status(429, "TooManyRequests", "no")]
        assert "no" in await session.operate(evict.model_copy(update={"seconds": 0.1}))


@pytest.mark.parametrize(("there", "evictions"), [("another", 1), ("du-1-a", 2), ("", 1)])
async def test_a_pod_whose_name_another_one_has_is_evicted(there: str, evictions: int) -> None:
    """Pods of a StatefulSet come again under their names."""
    metadata = {"name": "du-1-a", "namespace": "minka-host", "uid": "du-1-a", "labels": {"minka.dev/function": "DU-1"}}
    refusals = [status(409, "Conflict", "Precondition failed: UID in precondition")]

    async def answer(asked: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        if asked.method == "POST":
            writer.write(wire(409, refusals.pop()) if refusals else wire(201, {"kind": "Status", "status": "Success"}))
        else:
            uid = there if "fieldSelector" in asked.query else "du-1-a"
            pod = {"metadata": {**metadata, "uid": uid}, "spec": {"nodeName": "n1"}}
            writer.write(wire(200, {"metadata": {}, "items": [pod] if uid else []}))

    async with serving(answer) as server:
        target = KubernetesTarget("DU-1", ("function",), pools=(server.target,), namespace="minka-host")
        clock = Impatient()
        session = CloudSession(target, {POOL: server.api(clock)}, clock, 1.0)
        assert await session.operate(Operation(kind=OperationKind.EVICT, subject=f"{POOL}/n1", seconds=60)) == ""
    assert len([one for one in server.asked if one.method == "POST"]) == evictions


async def test_a_list_whose_pages_come_too_slowly_is_lost() -> None:
    async def endless(_: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(wire(200, {"metadata": {"continue": "again"}, "items": []}))

    async with serving(endless) as server:
        api = server.api(timeout=1)
        with pytest.raises(SessionLostError, match=r"took more than 2 s for the list of pods|did not answer") as lost:
            await api.list(Place(POOL, POD, "", ""))
        assert lost.value.__context__ is None, "requests have the token in them"
        assert len(server.asked) < MOST_PAGES
        await api.close()


async def test_a_mark_that_no_address_can_hold_is_no_mark() -> None:
    body = {"metadata": {"continue": "x" * 100_000, "resourceVersion": "x" * 100_000}, "items": []}
    async with serving(reply(200, body)) as server:
        api = server.api()
        place = Place(POOL, POD, "", "")
        with pytest.raises(SessionLostError, match="more than 4096 characters"):
            await api.list(place)
        with pytest.raises(SessionLostError, match="no address can hold"):
            _ = [one async for one in api.watch(place, await api.version(place), 1)]
        with pytest.raises(SessionLostError, match="no address can hold"):
            await api.get(place._replace(namespace="n", name="x" * 100_000))
        await api.close()
