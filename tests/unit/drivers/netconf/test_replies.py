"""Replies: every rpc-error counts, warnings are none, and hostile XML is refused."""

from __future__ import annotations

import pytest
from lxml import etree
from structlog.testing import capture_logs

from controller.drivers.netconf.markup import MOST_MARKS, MalformedXmlError, parse_xml
from controller.drivers.netconf.replies import check, check_done, data_of, errors_of
from controller.models.errors import DeviceBusyError, DeviceRefusedError, SessionLostError

NS = 'xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"'


def reply(content: str, declarations: str = NS) -> etree._Element:
    return parse_xml(f'<rpc-reply message-id="1" {declarations}>{content}</rpc-reply>'.encode())


def error(tag: str, severity: str = "error", rest: str = "") -> str:
    return (
        f"<rpc-error><error-type>protocol</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>{severity}</error-severity>{rest}</rpc-error>"
    )


# As netconfd 2.14 sends them.
NETCONFD_LOCK_DENIED = reply(
    """
  <rpc-error>
    <error-type>protocol</error-type>
    <error-tag>lock-denied</error-tag>
    <error-severity>error</error-severity>
    <error-app-tag>no-access</error-app-tag>
    <error-message xml:lang="en">lock denied</error-message>
    <error-info>
      <session-id>17</session-id>
      <error-number xmlns="http://netconfcentral.org/ns/yuma-ncx">268</error-number>
    </error-info>
  </rpc-error>"""
)
NETCONFD_IN_USE = reply(
    """
  <rpc-error>
    <error-type>protocol</error-type>
    <error-tag>in-use</error-tag>
    <error-severity>error</error-severity>
    <error-app-tag>outstanding-confirmed-commit</error-app-tag>
    <error-message xml:lang="en">cannot perform the operation with confirmed-commit pending</error-message>
    <error-info><error-number xmlns="http://netconfcentral.org/ns/yuma-ncx">373</error-number></error-info>
  </rpc-error>"""
)
NETCONFD_DATA_MISSING = reply(
    """
  <rpc-error>
    <error-type>application</error-type>
    <error-tag>data-missing</error-tag>
    <error-severity>error</error-severity>
    <error-app-tag>instance-required</error-app-tag>
    <error-path>/me3gpp:ManagedElement[me3gpp:id='X']/me3gpp:attributes/me3gpp:priorityLabel</error-path>
    <error-message xml:lang="en">required value instance not found</error-message>
  </rpc-error>"""
)


def test_a_denied_lock_names_its_holder() -> None:
    with pytest.raises(DeviceBusyError) as caught:
        check(NETCONFD_LOCK_DENIED, "PE-1", "lock")
    assert caught.value.holder == "17"
    assert caught.value.message == "PE-1 refused lock: lock-denied (no-access): lock denied"


def test_in_use_without_a_holder_is_busy_too() -> None:
    with pytest.raises(DeviceBusyError, match="outstanding-confirmed-commit") as caught:
        check(NETCONFD_IN_USE, "PE-1", "lock")
    assert caught.value.holder == "0"


def test_a_refusal_carries_tag_path_and_message() -> None:
    with pytest.raises(DeviceRefusedError) as caught:
        check(NETCONFD_DATA_MISSING, "PE-1", "edit-config")
    assert caught.value.message == (
        "PE-1 refused edit-config: data-missing (instance-required) at "
        "/me3gpp:ManagedElement[me3gpp:id='X']/me3gpp:attributes/me3gpp:priorityLabel: "
        "required value instance not found"
    )


def test_all_errors_of_a_reply_are_named_up_to_ten() -> None:
    many = reply("".join(error("invalid-value", rest=f"<error-path>/p{n}</error-path>") for n in range(25)))
    with pytest.raises(DeviceRefusedError, match=r"/p0; .*/p9; and 15 more$"):
        check(many, "PE-1", "commit")


def test_equal_errors_are_reported_once() -> None:
    """As netconfd answers a commit of nine cells that lack one leaf."""
    with pytest.raises(DeviceRefusedError) as caught:
        check(reply(error("data-missing") * 9 + error("invalid-value")), "PE-1", "commit")
    assert caught.value.message == "PE-1 refused commit: data-missing (9 times); invalid-value"


@pytest.mark.parametrize(
    ("info", "named"),
    [
        ("<bad-element>priorityLabel</bad-element>", "[bad-element priorityLabel]"),
        ('<missing-choice xmlns="urn:ietf:params:xml:ns:yang:1">a</missing-choice>', "[missing-choice a]"),
        ("<bad-attribute>a</bad-attribute><bad-element>b</bad-element>", "[bad-attribute a; bad-element b]"),
        ('<error-number xmlns="http://netconfcentral.org/ns/yuma-ncx">268</error-number>', ""),
    ],
)
def test_what_the_error_info_names_is_named(info: str, named: str) -> None:
    with pytest.raises(DeviceRefusedError) as caught:
        check(reply(error("missing-element", rest=f"<error-info>{info}</error-info>")), "PE-1", "commit")
    assert caught.value.message == f"PE-1 refused commit: missing-element {named}".rstrip()


def test_a_busy_error_beside_another_is_a_refusal() -> None:
    with pytest.raises(DeviceRefusedError):
        check(reply(error("in-use") + error("invalid-value")), "PE-1", "commit")


def test_an_error_behind_a_warning_is_an_error() -> None:
    with capture_logs() as logs, pytest.raises(DeviceRefusedError, match="operation-failed"):
        check(reply(error("invalid-value", "warning") + error("operation-failed")), "PE-1", "commit")
    assert [entry["event"] for entry in logs] == ["device.warning"]


def test_an_error_beside_ok_is_an_error() -> None:
    with pytest.raises(DeviceRefusedError):
        check_done(reply("<ok/>" + error("operation-failed")), "PE-1", "commit")


@pytest.mark.parametrize("ok", ["", "<ok/>"])
def test_warnings_alone_are_no_failure(ok: str) -> None:
    with capture_logs() as logs:
        check_done(reply(ok + error("invalid-value", "warning")), "PE-1", "commit")
    assert logs[0]["log_level"] == "warning"
    assert logs[0]["text"] == "invalid-value"


def test_an_error_without_severity_or_tag_is_an_error() -> None:
    with pytest.raises(DeviceRefusedError, match="unknown"):
        check(reply("<rpc-error/>"), "PE-1", "commit")


@pytest.mark.parametrize(
    "content",
    [
        f"<nc:rpc-error {NS.replace('xmlns', 'xmlns:nc')}><nc:error-tag>in-use</nc:error-tag></nc:rpc-error>",
        '<rpc-error xmlns=""><error-tag>in-use</error-tag><error-severity>error</error-severity></rpc-error>',
        f'<results xmlns="urn:x"><rpc-error {NS}><error-tag>in-use</error-tag></rpc-error></results>',
    ],
    ids=["prefixed", "without namespace", "nested"],
)
def test_errors_count_however_they_are_written(content: str) -> None:
    with pytest.raises(DeviceBusyError):
        check(reply(content), "PE-1", "lock")


def test_a_prefixed_reply_is_understood() -> None:
    prefixed = parse_xml(
        b'<nc:rpc-reply xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><nc:ok/></nc:rpc-reply>'
    )
    check_done(prefixed, "PE-1", "commit")


@pytest.mark.parametrize("content", ["", '<ok xmlns="urn:other"/>', "<data/>"])
def test_neither_ok_nor_error_is_no_ok(content: str) -> None:
    with pytest.raises(SessionLostError, match="neither ok nor an error"):
        check_done(reply(content), "PE-1", "commit")


def test_a_get_without_data_is_no_answer() -> None:
    with pytest.raises(SessionLostError, match="without data"):
        data_of(reply("<ok/>"), "PE-1", "get")
    assert data_of(reply("<data/>"), "PE-1", "get").tag.endswith("}data")


def test_long_texts_of_devices_are_cut_and_put_on_one_line() -> None:
    (only,) = errors_of(reply(error("x", rest=f"<error-message>a\n  b{'c' * 5000}</error-message>")))
    assert only.message.startswith("a bccc")
    assert len(only.message) == 301


BOMB = (
    b'<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><rpc-reply>&j;</rpc-reply>"
)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not xml",
        b"<rpc-reply><ok/>",
        b"<rpc-reply/><rpc-reply/>",
        b"\x00\x01\x02",
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><rpc-reply>&x;</rpc-reply>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><rpc-reply/>',
        BOMB,
        b"<a>" * 300 + b"</a>" * 300,
        b"<a>" + b"x" * 11_000_000 + b"</a>",
        b"<a>" + b"<b/>" * MOST_MARKS + b"</a>",
        b"<a " + b" ".join(b"b%d=''" % number for number in range(MOST_MARKS)) + b"/>",
        ('<?xml version="1.0" encoding="IBM037"?>' + "<a>" + "<b/>" * MOST_MARKS + "</a>").encode("cp037"),
        ("<a>" + "<b/>" * 3 + "</a>").encode("utf-16"),
        '<?xml version="1.0" encoding="ISO-8859-1"?><a>ñ</a>'.encode("latin-1"),
    ],
    ids=[
        "empty",
        "text",
        "truncated",
        "two",
        "binary",
        "xxe",
        "dtd",
        "bomb",
        "deep",
        "huge",
        "elements",
        "attributes",
        "ebcdic",
        "utf-16",
        "latin-1",
    ],
)
def test_hostile_messages_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedXmlError):
        parse_xml(raw)


def test_the_first_errors_of_very_many_are_read() -> None:
    many = reply(error("in-use") * 2000)
    assert len(errors_of(many)) == 1000
    with pytest.raises(DeviceBusyError):
        check(many, "PE-1", "lock")


def test_an_error_behind_very_many_warnings_is_not_taken_for_success() -> None:
    with pytest.raises(SessionLostError, match="1000 warnings or more"):
        check(reply(error("hint", "warning") * 1000 + error("data-missing")), "PE-1", "edit-config")


def test_the_first_leaves_of_an_error_info_are_named_however_deep_it_is() -> None:
    deep = "<v>" * 20 + "<bad-element>pci</bad-element>" + "</v>" * 20
    (one,) = errors_of(reply(error("bad-element", rest=f"<error-info>{deep}</error-info>")))
    assert one.info == "bad-element pci"
    longer = "<v>" * 120 + "<bad-element>pci</bad-element>" + "</v>" * 120
    (one,) = errors_of(reply(error("bad-element", rest=f"<error-info>{longer}</error-info>")))
    assert one.info == ""


def test_comments_and_instructions_are_dropped() -> None:
    root = parse_xml(b"<?xml version='1.0'?><!-- a --><a><?b c?><!-- d --><e/></a>")
    assert [child.tag for child in root] == ["e"]


def test_a_refusal_names_the_node_that_its_path_ends_with() -> None:
    """By netconfd's answer to a token that is not pending."""
    path = "/nc:rpc/nc:commit/nc:persist-id"
    with pytest.raises(DeviceRefusedError) as caught:
        check(reply(error("operation-failed", rest=f"<error-path>{path}</error-path>")), "PE-1", "commit")
    assert (caught.value.tag, caught.value.node) == ("operation-failed", "persist-id")
    with pytest.raises(DeviceRefusedError) as caught:
        check(reply(error("invalid-value", rest="<error-path>/x/y[k='a']</error-path>")), "PE-1", "commit")
    assert caught.value.node == "y"
    with pytest.raises(DeviceRefusedError) as caught:
        check(reply(error("invalid-value")), "PE-1", "commit")
    assert caught.value.node == ""
