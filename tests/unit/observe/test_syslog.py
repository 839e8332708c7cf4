"""A message to a syslog collector is one line, whatever words of others stand in it."""

from __future__ import annotations

from controller.observe.syslog import Syslog
from controller.ports.clock import VirtualClock


def test_words_of_alarm_sources_have_no_control_characters() -> None:
    sent = Syslog("udp://127.0.0.1:514", VirtualClock())
    told = {"station": 'PE"]\x1b[2J', "text": "off the air\r\n<13>1 - - all - - clear \x00\u202e"}
    line = sent._message(told, "key\x9b").decode("utf-8-sig")
    assert line.replace("\ufeff", "").isprintable()
    assert r'station="PE\"\]\\x1b[2J"' in line
    assert "off the air <13>1 - - all" in line
