"""What contacts of the network files get in a message: all of it, field by field.

Whoever tells a contact makes one of these classes, since the port takes nothing else
(``controller.ports.webhook.Contacts``). ``tests/security/test_disclosed_fields.py`` names each of their fields, so that
a field that is new on record reaches no tenant by itself.
"""

from __future__ import annotations

from controller.access.disclosure import TenantAlarm
from controller.models.alarm import Alarm
from controller.models.approval import Gathered, ToldNotice
from controller.models.dispatch import DispatchPack
from controller.models.on_call import GatheredCalls, ToldCall
from controller.models.scalars import Noun


class NoticeContent(Noun):
    """One notice."""

    notice: ToldNotice

    @property
    def text(self) -> str:
        """It as plain text: its subject in the first line, then all cells."""
        one = self.notice
        about = one.incident or one.run
        return "\n".join([f"{one.kind}: {one.text}", "", f"Minka, {about}, notice {one.id}", *one.cells])


class NoticesContent(Noun):
    """Several notices of incidents."""

    notices: Gathered
    text: str


class HostCallContent(Noun):
    """One call of a contact of the host."""

    kind: str
    call: ToldCall
    alarm: Alarm
    reason: str
    dispatch: DispatchPack
    text: str


class TenantCallContent(Noun):
    """One call of a contact of a tenant: its own part of the alarm, and nothing of what the host does."""

    kind: str
    call: ToldCall
    alarm: TenantAlarm
    text: str


class CallsContent(Noun):
    """Several calls."""

    kind: str
    calls: GatheredCalls
    text: str


#: All that a contact may get; as ``text`` where it gets e-mail.
MessageContent = NoticeContent | NoticesContent | HostCallContent | TenantCallContent | CallsContent
