"""The controller of a rehearsal: faults that are only played reach nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from controller.access.messages import NoticesContent
from controller.bootstrap import Parts
from controller.models.alarm import Alarm
from controller.models.errors import MinkaError
from controller.models.network import Contact
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from controller.rehearsal.minka import parts_on
from controller.store import open_store

ADDRESSES = {
    "escalation_url": "https://pager.example/call",
    "notify_url": "https://chat.example/notify",
    "alertmanager_url": "https://alerts.example",
    "mail_relay": "smtp://relay.example:25",
    "mail_from": "minka@noc.example",
    "mail_to": "noc@noc.example",
    "syslog": "udp://collector.example:514",
    "call_home": "127.0.0.1:4334",
    "call_home_tls": "127.0.0.1:4434",
}


@pytest.fixture
def given() -> Settings:
    return Settings(**cast("Any", ADDRESSES))


@pytest.fixture
def parts(given: Settings) -> Iterator[Parts]:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    yield parts_on(cast("Any", None), store, clock, given)
    store.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Hosts and addresses that were looked up or connected to; none is."""
    found: list[object] = []

    def refused(*given: object, **_: object) -> None:
        found.append(given)
        raise OSError("nothing is reached in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refused)
    return found


def test_a_rehearsal_knows_no_address_outside_of_itself(given: Settings, parts: Parts) -> None:
    there = {name: value for name, value in given.model_dump().items() if name in ADDRESSES}
    assert there == ADDRESSES
    text = parts.settings.model_dump_json()
    assert "example" not in text, "a setting of an address is missing in Settings.cut_off"
    assert not {name for name in ADDRESSES if getattr(parts.settings, name)}


async def test_whatever_a_rehearsal_sends_reaches_nobody(parts: Parts, asked: list[object]) -> None:
    services = parts._services()
    contact = Contact.model_construct(id="c")  # type: ignore[call-arg]
    for way in (services.webhook, *services.channels.values(), parts.webhook()):
        assert way.lacks({"text": "x", "subject": "x"}) == ""
        await way.post({"text": "x", "subject": "x", "to": ["a@b.example"]}, "key")
    content = NoticesContent.model_construct(text="x")  # type: ignore[call-arg]
    await parts.contacts().notify(contact, content, "key")
    alarm = Alarm.model_construct(id="a", station="S1")  # type: ignore[call-arg]
    await parts.pager().escalate(alarm, "reason", "key", cast("Any", None))
    assert services.channels.keys() == Parts.channels(parts).keys()
    assert asked == []


async def test_what_production_sends_is_seen_by_this_test(parts: Parts, given: Settings, asked: list[object]) -> None:
    real = Parts(given, *(getattr(parts, name) for name in list(Parts.__dataclass_fields__)[1:]))
    for way in (real.webhook(), *real.channels().values()):
        with pytest.raises(MinkaError):
            await way.post({"text": "x", "subject": "x"}, "key")
    assert len(asked) >= 3
