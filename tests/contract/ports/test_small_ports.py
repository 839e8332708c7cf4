"""The fakes of the small ports behave as the real ones: secrets, wakeups, notifier, clock."""

from __future__ import annotations

import asyncio
import hmac
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.access.messages import NoticeContent
from controller.models.alarm import Alarm, AlarmState, ObjectClass, PerceivedSeverity
from controller.models.approval import Notice, NoticeKind, ToldNotice
from controller.models.credentials import Credentials
from controller.models.dispatch import DispatchPack
from controller.models.errors import InputError, MessageRefusedError, MinkaError, NotTakenError
from controller.models.network import Contact
from controller.observe.webhook import ContactPost, HttpWebhook
from controller.ports.clock import Clock, SystemClock, VirtualClock
from controller.ports.notifier import FakeNotifier, Notifier
from controller.ports.queue import FakeWakeups, Wakeups
from controller.ports.secrets import EnvironmentSecrets, FakeSecrets, NamedSecrets, Secrets
from controller.ports.webhook import FakeWebhook
from controller.queue.app import make_app
from controller.queue.wakeups import CeleryWakeups

ALARM = Alarm(
    id="a-1",
    station="S-1",
    object="station",
    tenant="",
    probable_cause="configuration-drift",
    specific_problem="",
    severity=PerceivedSeverity.WARNING,
    text="2 values differ",
    source="check",
    state=AlarmState.RAISED,
    raised=datetime(2026, 1, 1, tzinfo=UTC),
    changed=datetime(2026, 1, 1, tzinfo=UTC),
)


PACK = DispatchPack(
    alarm="a-1",
    incident="i-1",
    station="S-1",
    place=None,
    unit="station",
    object_class=ObjectClass.STATION,
    slot="station",
    probable_cause="configuration-drift",
    severity=PerceivedSeverity.WARNING,
    text="",
    since=datetime(2026, 1, 1, tzinfo=UTC),
    part="",
    tried=(),
    standing=(),
    without_service={},
    in_force=(),
    holds=(),
)


# ------------------------------------------------------------------------- secrets


@pytest.fixture(params=["real", "fake"])
def secrets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Secrets:
    file = tmp_path / "password"
    file.write_text("from-file\n", encoding="utf-8")
    monkeypatch.setenv("MINKA_TEST_SECRET", "from-env")
    if request.param == "fake":
        return FakeSecrets({"variable": "from-env", "file": "from-file", "gone": None}, ["10.0.0.0/8"])
    references = {"variable": "env:MINKA_TEST_SECRET", "file": f"file:{file}", "gone": "env:MINKA_NOT_SET"}
    networks = {name: {"reference": said, "networks": ["10.0.0.0/8"]} for name, said in references.items()}
    named = Credentials.model_validate({"credentials": networks})
    return NamedSecrets(named, EnvironmentSecrets(tmp_path / "home"))


def test_names_resolve_within_their_networks(secrets: Secrets) -> None:
    assert secrets.resolve("variable", "10.1.2.3").get_secret_value() == "from-env"
    assert secrets.resolve("file", "10.1.2.3").get_secret_value() == "from-file"
    assert "from-env" not in repr(secrets.resolve("variable", "10.1.2.3"))


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("other", "10.1.2.3", "no credential 'other'; MINKA_CREDENTIALS has file, gone, variable"),
        ("variable", "11.1.2.3", "11.1.2.3 is outside of the networks of credential 'variable': 10.0.0.0/8"),
        ("variable", "::ffff:10.1.2.3", "outside of the networks"),
        ("variable", "device.example", "outside of the networks"),
    ],
)
def test_nobody_else_gets_a_secret(secrets: Secrets, name: str, address: str, said: str) -> None:
    for asked in (secrets.check, secrets.resolve):
        with pytest.raises(InputError, match=said):
            asked(name, address)


def test_a_name_that_leads_nowhere(secrets: Secrets) -> None:
    secrets.check("gone", "10.1.2.3")
    with pytest.raises(InputError, match=r"secret reference .* leads nowhere"):
        secrets.resolve("gone", "10.1.2.3")


# ------------------------------------------------------------------------ wakeups


@pytest.fixture(params=["real", "fake"])
def sent(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Wakeups, Callable[[], list[str]]]:
    if request.param == "fake":
        fake = FakeWakeups()
        return fake, lambda: fake.runs
    wakeups = CeleryWakeups(make_app("minka-spool://", tmp_path))

    def messages() -> list[str]:
        wakeups.close()
        found = sorted((tmp_path / "messages").glob("*.msg"))
        return [json.loads(one.read_text())["headers"]["argsrepr"].strip("(),'") for one in found]

    return wakeups, messages


def test_wakeups_arrive_in_order(sent: tuple[Wakeups, Callable[[], list[str]]]) -> None:
    wakeups, messages = sent
    for run in ("r-1", "r-2", "r-1"):
        wakeups.wake_workers(run)
    assert messages() == ["r-1", "r-2", "r-1"]


def test_a_broker_that_is_away_costs_nobody_anything() -> None:
    app = make_app("redis://127.0.0.1:1/0", Path("unused"))
    wakeups = CeleryWakeups(app)
    clock = SystemClock()
    began = clock.monotonic()
    for number in range(1000):
        wakeups.wake_workers(f"r-{number}")
    # One attempt for each would take minutes: the bound is wide, for a machine that does much else.
    assert clock.monotonic() - began < 20
    wakeups.close()
    wakeups._thread.join(60)
    assert not wakeups._thread.is_alive(), "it goes on calling a broker that is away after its end"


# ------------------------------------------------------------------------ notifier


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["dispatch"] == PACK.model_dump(mode="json")
        server.sent.append((body["alarm"]["id"], body["reason"], self.headers["Idempotency-Key"]))
        self.send_response(server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@contextmanager
def _hook(status: int, handler: Any = _Hook) -> Iterator[tuple[str, list[Any]]]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.sent, server.status = [], status
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", server.sent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_an_escalation_is_delivered_by_both() -> None:
    fake = FakeNotifier()
    with _hook(204) as (url, sent):
        for notifier in (fake, HttpWebhook(url)):
            told: Notifier = notifier
            await told.escalate(ALARM, "it came back", "escalate-a-1", PACK)
    assert [(alarm.id, reason) for alarm, reason in fake.sent] == [("a-1", "it came back")]
    assert sent == [("a-1", "it came back", "escalate-a-1")]


async def test_a_webhook_that_refuses_is_an_error_to_try_again() -> None:
    with (
        _hook(500) as (url, sent),
        pytest.raises(MinkaError, match="not take the message: it answers with status 500"),
    ):
        await HttpWebhook(url).escalate(ALARM, "it came back", "escalate-a-1", PACK)
    assert len(sent) == 1


class _Compressing(http.server.BaseHTTPRequestHandler):
    """Takes each message, and answers with what no reader of a whole answer gets over."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "9000000000")
        self.end_headers()
        self.wfile.write(b"no gzip")

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


async def test_of_a_receivers_answer_only_the_status_is_read() -> None:
    with _hook(200, _Compressing) as (url, _):
        await HttpWebhook(url).escalate(ALARM, "it came back", "escalate-a-1", PACK)


class _Signed(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        server.sent.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@pytest.mark.parametrize(
    ("status", "error"),
    [(413, MessageRefusedError), (422, MessageRefusedError), (401, NotTakenError), (503, NotTakenError)],
)
async def test_a_webhook_that_refuses_a_message_is_told_from_one_that_takes_none(
    status: int, error: type[NotTakenError]
) -> None:
    with _hook(status) as (url, _), pytest.raises(NotTakenError) as found:
        await HttpWebhook(url).escalate(ALARM, "it came back", "escalate-a-1", PACK)
    assert type(found.value) is error


async def test_a_contact_is_told_by_e_mail_or_by_a_signed_message() -> None:
    mail, clock = FakeWebhook(), VirtualClock()
    kind, at = NoticeKind.INCIDENT_RAISED, clock.now()
    notice = Notice(id="n-1", kind=kind, incident="i-1", tenant="entel", at=at, text="power", cells=("A/1",), sent=at)
    content = NoticeContent(notice=ToldNotice.of(notice))
    post = ContactPost(mail, FakeSecrets({"entel": "s3cret"}), clock)
    await post.notify(Contact(id="noc", name="NOC", email="noc@entel.example"), content, "n-1-noc")
    assert mail.sent == {
        "n-1-noc": {"to": ["noc@entel.example"], "text": "incident-raised: power\n\nMinka, i-1, notice n-1\nA/1"}
    }
    with _hook(204, _Signed) as (url, sent):
        hook = Contact(id="hook", name="Hook", webhook=url, credential="entel")
        await post.notify(hook, content, "n-1-hook")
        elsewhere = ContactPost(mail, FakeSecrets({"entel": "s3cret"}, ["10.0.0.0/8"]), clock)
        with pytest.raises(InputError, match="outside of the networks of credential 'entel'"):
            await elsewhere.notify(hook, content, "n-1-hook")
    ((headers, body),) = sent
    assert json.loads(body) == {"notice": notice.model_dump(mode="json", exclude={"sent"})}
    signed = hmac.digest(b"s3cret", f"{int(clock.now().timestamp())}.".encode() + body, "sha256").hex()
    assert (headers["Minka-Signature"], headers["Idempotency-Key"]) == (f"sha256={signed}", "n-1-hook")
    assert int(headers["Minka-Timestamp"]) == int(clock.now().timestamp())


# --------------------------------------------------------------------------- clock


@pytest.mark.parametrize("make", [SystemClock, VirtualClock])
async def test_sleepers_wake_in_order(make: Callable[[], Clock]) -> None:
    clock = make()
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    began, day = clock.monotonic(), clock.now()
    sleepers = [asyncio.create_task(sleeper(seconds)) for seconds in (0.09, 0.01, 0.05, 0, -1)]
    if isinstance(clock, VirtualClock):
        await clock.advance(0.1)
    await asyncio.gather(*sleepers)
    assert woken[-3:] == [0.01, 0.05, 0.09]
    assert clock.monotonic() - began >= 0.09
    assert clock.now().tzinfo is not None
    assert (clock.now() - day).total_seconds() >= 0.08


async def test_virtual_time_stands_still_by_itself() -> None:
    clock = VirtualClock()
    sleeper = asyncio.create_task(clock.sleep(600))
    await asyncio.sleep(0.01)
    assert not sleeper.done()
    assert clock.monotonic() == 0
    await clock.advance(600)
    assert sleeper.done()
