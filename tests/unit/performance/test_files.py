"""Measurement files of stations: both forms, what stations leave out of them, and what hostile ones do."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.models.errors import InputError
from controller.models.measurement import LARGEST, Period, Unread
from controller.performance import files
from controller.performance.files import read_file

END = datetime(2026, 10, 1, 5, 15, tzinfo=UTC)
BEGIN = END - timedelta(minutes=15)
CELL = "SubNetwork=1,ManagedElement=A,ENBFunction=1,EUtranCellFDD=1"

COLLECTED = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="MeasDataCollection.xsl"?>
<measCollecFile xmlns="http://www.3gpp.org/ftp/specs/archive/32_series/32.435#measCollec">
  <fileHeader fileFormatVersion="32.435 V7.0" dnPrefix="SubNetwork=1">
    <fileSender localDn="ManagedElement=A"/><measCollec beginTime="2026-10-01T00:00:00-05:00"/>
  </fileHeader>
  <measData>
    <managedElement localDn="ManagedElement=A" swVersion="7.1"/>
    <measInfo measInfoId="x">
      <job jobId="9"/><granPeriod duration="PT900S" endTime="2026-10-01T00:15:00-05:00"/><repPeriod duration="PT1800S"/>
      <measTypes>RRC.ConnMean
        RRC.ConnMax RRU.PrbTotDl</measTypes>
      <measValue measObjLdn="ENBFunction=1,EUtranCellFDD=1"><measResults>2.5 7 NIL</measResults></measValue>
      <measValue measObjLdn="ENBFunction=1,EUtranCellFDD=2">
        <measResults>1 2 3e1</measResults><suspect>true</suspect>
      </measValue>
    </measInfo>
  </measData>
  <fileFooter><measCollec endTime="2026-10-01T00:15:00-05:00"/></fileFooter>
</measCollecFile>
"""

GROUP = """<measInfo><job jobId="{job}"/><granPeriod duration="{duration}" endTime="2026-10-01T05:15:00Z"/>
  <vendor:extra xmlns:vendor="urn:x"><r p="1">9</r></vendor:extra>
  <measType p="1">RRC.ConnMean</measType><measType p="4">RRC.ConnMax</measType>
  <measValue measObjLdn="{name}"><r p="4">7</r><r p="1">{mean}</r><suspect>{suspect}</suspect></measValue>
</measInfo>"""


def measured(*groups: str) -> str:
    return f"""<measDataFile xmlns="http://www.3gpp.org/ftp/specs/archive/28_series/28.532#measData">
  <fileHeader fileFormatVersion="28.532 V18.0.0" dnPrefix="SubNetwork=1"><fileSender senderName="A"/>
    <measData beginTime="2026-10-01T05:00:00Z"/></fileHeader>
  <measData><measEntity localDn="ManagedElement=A"/>{"".join(groups)}</measData>
  <fileFooter><measData endTime="2026-10-01T05:15:00Z"/></fileFooter></measDataFile>"""


def group(
    job: str = "9",
    duration: str = "PT900S",
    name: str = "ENBFunction=1,EUtranCellFDD=1",
    mean: str = "2.5",
    suspect: str = "false",
) -> str:
    return GROUP.format(job=job, duration=duration, name=name, mean=mean, suspect=suspect)


def read(text: str | bytes, name: str = "A1.xml", **more: int) -> list[Period]:
    return read_file(name, [text.encode() if isinstance(text, str) else text], **more)


def test_compact_lists_are_read_and_nil_is_no_value() -> None:
    (one,) = read(COLLECTED)
    assert (one.job, one.begin, one.end, one.suspect) == ("9", BEGIN, END, True)
    assert one.values == {
        CELL: {"RRC.ConnMean": 2.5, "RRC.ConnMax": 7.0},
        CELL.replace("FDD=1", "FDD=2"): {"RRC.ConnMean": 1.0, "RRC.ConnMax": 2.0, "RRU.PrbTotDl": 30.0},
    }


def test_positions_name_the_counters_and_what_others_added_is_skipped() -> None:
    assert read(measured(group())) == [
        Period(job="9", begin=BEGIN, end=END, values={CELL: {"RRC.ConnMean": 2.5, "RRC.ConnMax": 7.0}})
    ]


@pytest.mark.parametrize(
    ("duration", "seconds"), [("PT15M", 900), ("PT300S", 300), ("PT1H", 3600), ("P1D", 86400), ("PT0H5M0.0S", 300)]
)
def test_a_file_may_have_several_granularities(duration: str, seconds: int) -> None:
    found = read(measured(group(), group("7", duration)))
    assert [(one.job, (one.end - one.begin).total_seconds()) for one in found] == [("7", seconds), ("9", 900)]


def test_the_managed_element_stands_once_in_a_name() -> None:
    full = CELL.removeprefix("SubNetwork=1,")
    (one,) = read(measured(group(name=full), group(name="")))
    assert set(one.values) == {CELL, "SubNetwork=1,ManagedElement=A"}


@pytest.mark.parametrize("nothing", ["NIL", "NULL", "", "none"])
def test_a_value_that_is_none_is_left_out(nothing: str) -> None:
    (one,) = read(measured(group(mean=nothing)))
    assert (one.values, one.unread, one.suspect) == ({CELL: {"RRC.ConnMax": 7.0}}, {}, False)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("NaN", Unread.NO_NUMBER),
        ("1_0", Unread.NO_NUMBER),
        ("n/a", Unread.NO_NUMBER),
        ("INF", Unread.IMPOSSIBLE),
        ("-1e400", Unread.IMPOSSIBLE),
        ("1e308", Unread.IMPOSSIBLE),
        ("1.1e15", Unread.IMPOSSIBLE),
    ],
)
def test_a_value_that_can_not_be_read_is_left_out_with_its_reason(word: str, reason: Unread) -> None:
    (one,) = read(measured(group(mean=word)))
    assert (one.values, one.unread) == ({CELL: {"RRC.ConnMax": 7.0}}, {reason.value: 1})
    assert one.suspect is (reason is Unread.IMPOSSIBLE)


def test_a_file_has_so_many_periods_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_PERIODS", 3)
    assert len(read(measured(*(group(job=str(n)) for n in range(3))))) == 3
    with pytest.raises(InputError, match="the file has more than 3 periods"):
        read(measured(*(group(job=str(n)) for n in range(4))))


def test_the_same_twice_counts_once_and_what_differs_is_suspect() -> None:
    (one,) = read(measured(group(), group()))
    assert not one.suspect
    (one,) = read(measured(group(), group(mean="3")))
    assert one.suspect
    assert one.values[CELL]["RRC.ConnMean"] == 2.5
    (one,) = read(measured(group(), group(name="other", suspect="1")))
    assert one.suspect
    assert set(one.values) == {CELL, "SubNetwork=1,ManagedElement=A,other"}


def pieces(content: bytes, size: int) -> Iterable[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_files_come_in_any_pieces_and_in_gzip(size: int) -> None:
    plain, packed = COLLECTED.encode(), gzip.compress(COLLECTED.encode())
    twice = gzip.compress(plain[:500]) + gzip.compress(plain[500:])
    found = [read_file("A1.xml", pieces(content, size)) for content in (plain, packed, twice)]
    assert found == [read(COLLECTED)] * 3


BOMB = """<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<measDataFile><x>&b;</x></measDataFile>"""
OUTSIDE = '<!DOCTYPE m SYSTEM "file:///etc/passwd"><measDataFile/>'
PLACE = r"A1\.xml, measData\[1\]/measInfo\[1\]"
VALUE = PLACE + r"/measValue\['ENBFunction=1,EUtranCellFDD=1'\]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"A1\.xml: it is empty"),
        ("garbage", r"A1\.xml: it is no XML, or cut: .*line 1"),
        ("\x00" * 100, r"A1\.xml: it is no XML, or cut"),
        (COLLECTED[:-250], r"measValue\[.*FDD=1'\]: it is no XML, or cut"),
        (COLLECTED + "<more/>", "it is no XML, or cut"),
        (BOMB, r"A1\.xml: it has a document type"),
        (OUTSIDE, r"A1\.xml: it has a document type"),
        ("<mdc/>", r"A1\.xml: its root is 'mdc', not measDataFile or measCollecFile"),
        ("<measDataFile>" + "<a>" * 1000, "its elements are nested more than 32 levels deep"),
        (measured(group(duration="900")), PLACE + r"/granPeriod: its duration is '900', not one such as PT900S"),
        (measured(group(duration="P2D")), PLACE + r"/granPeriod: its duration is 'P2D'"),
        (
            measured(group()).replace('05:15:00Z"/>\n', '05:15:00"/>\n'),
            PLACE + r"/granPeriod: its endTime is .*offset",
        ),
        (measured(group()).replace('2026-10-01T05:15:00Z"/>\n', '0001-01-01T00:00:00Z"/>\n'), "its endTime is"),
        (measured(group()).replace(' duration="PT900S"', ""), PLACE + r"/granPeriod: it has no duration"),
        (measured(group()).replace('<r p="4">', '<r p="5">'), VALUE + r"/r: there is no measType of position '5'"),
        (measured(group()).replace('<r p="4">', "<r>"), VALUE + r"/r: it has no p"),
        (measured(group()).replace('measType p="4"', 'measType p="1"'), "position '1' is that of two counters"),
        (measured(group()).replace("granPeriod", "period"), "it stands before its granPeriod"),
        (measured(group()).replace("RRC.ConnMax", ""), "the name of a counter has 0 letters"),
        (measured(group()).replace("RRC.ConnMax", "x" * 600), "the name of a counter has 600 letters"),
        (measured(group("j" * 600)), "its jobId is longer than 512 letters"),
        (COLLECTED.replace("7 NIL", "7"), VALUE + r"/measResults: it has 2 values of 3 counters"),
    ],
)
def test_errors_name_file_and_element(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(text)


def test_words_of_a_file_do_not_act_on_a_terminal() -> None:
    with pytest.raises(InputError, match=r"A\\x1b\.xml"):
        read("<x/>", "A\x1b.xml")


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(COLLECTED.encode(), mtime=0)[:-9],
        gzip.compress(COLLECTED.encode(), mtime=0)[:40],
        b"\x1f\x8b" + b"x" * 50,
    ],
)
def test_a_cut_or_broken_gzip_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"A1\.xml.*gzip"):
        read(content)


def test_a_gzip_of_very_many_members_is_refused_before_they_are_unpacked() -> None:
    empty = gzip.compress(b"", mtime=0)
    few = gzip.compress(COLLECTED.encode(), mtime=0) + empty * 4000
    assert read(few) == read(COLLECTED.encode())
    with pytest.raises(InputError, match="its gzip has more than 4096 members"):
        read(empty * (64 << 20 >> 5))


def test_a_file_has_so_many_elements_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_ELEMENTS", 50)
    with pytest.raises(InputError, match="it has more than 50 elements"):
        read(f"<measDataFile>{'<x/>' * 60}</measDataFile>")


def test_names_of_objects_have_so_many_letters_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_LETTERS", 5000)
    inner = "".join(f'<measValue measObjLdn="{"d" * 240}{number}"/>' for number in range(20))
    with pytest.raises(InputError, match="the names of its objects have more than 5000 letters"):
        read(measured(group()).replace("</measInfo>", f"{inner}</measInfo>"))


def named(*objects: str) -> str:
    inner = "".join(f'<measValue measObjLdn="{name}"/>' for name in objects)
    return measured(group()).replace("</measInfo>", f"{inner}</measInfo>")


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        (f"Cell={'d' * 255}", True),
        (f"Cell={'d' * 256},Relation=1", False),
        ("A=dddddddddd" + "\\," * 250, False),
        ("d" * 256, False),
        (",".join(f"A={'d' * 120}" for _ in range(4)), True),
    ],
)
def test_no_part_of_an_objects_name_is_longer_than_any(name: str, taken: bool) -> None:
    if taken:
        assert any(object_.endswith(name) for period in read(named(name)) for object_ in period.values)
    else:
        with pytest.raises(InputError, match="is longer than 1000 letters, or has a part longer than 255"):
            read(named(name))


def test_a_file_has_so_many_objects_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MOST_OBJECTS", 30)
    (period,) = read(named(*("Cell=1" for _ in range(100))))
    assert len(period.values) < 30
    with pytest.raises(InputError, match="the file has more than 30 objects"):
        read(named(*(f"Cell={number}" for number in range(31))))


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_is_too_long_is_left_where_that_shows(packed: bool) -> None:
    def endless() -> Iterable[bytes]:
        yield b"<measDataFile>"
        for _ in range(1000):
            yield b"<x>" + b" " * 100_000 + b"</x>"
        raise AssertionError("it was read to the end")

    content: Iterable[bytes] = [gzip.compress(b"<measDataFile>" + b" " * (16 << 20))] if packed else endless()
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="it is longer than 4194304 bytes"):
            read_file("A1.xml", content, 4 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "part",
    [
        '<measValue measObjLdn="{0}"/>',
        '<measType p="{0}0">a{0}</measType>',
        '<measValue measObjLdn="1"><r p="1">{0}</r></measValue>',
    ],
)
def test_a_file_has_so_many_values_and_no_more(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(files, "_MOST_VALUES", 50)
    inner = "".join(part.format(number) for number in range(60))
    with pytest.raises(InputError, match="the file has more than 50 values"):
        read(measured(group()).replace("</measInfo>", f"{inner}</measInfo>"))


def test_a_text_is_so_long_and_no_longer() -> None:
    with pytest.raises(InputError, match="its text is longer than 1048576 letters"):
        read(COLLECTED.replace("2.5 7 NIL", " " * (1 << 21)))


names = st.sampled_from(["RRC.ConnMean", "RRC.ConnEstabAtt.mo-Data", "DRB.PdcpSduVolumeDL.716-06.9.1-00000A"])
numbers = st.floats(-LARGEST, LARGEST) | st.none()


@given(
    st.dictionaries(st.sampled_from("123456"), st.dictionaries(names, numbers, min_size=1), max_size=4), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_both_forms_say_the_same(cells: dict[str, dict[str, float | None]], suspect: bool) -> None:
    head = '<granPeriod duration="PT900S" endTime="2026-10-01T05:15:00Z"/>'
    flag = f"<suspect>{str(suspect).lower()}</suspect>"
    lists, places = [], []
    for cell, values in cells.items():
        words = ["NIL" if value is None else repr(value) for value in values.values()]
        types = "".join(f'<measType p="{n}">{name}</measType>' for n, name in enumerate(values, 5))
        results = "".join(f'<r p="{n}">{word}</r>' for n, word in enumerate(words, 5))
        value = f'<measValue measObjLdn="Cell={cell}">'
        compact = f"{head}<measTypes>{' '.join(values)}</measTypes>{value}<measResults>{' '.join(words)}</measResults>"
        lists.append(f"<measInfo>{compact}{flag}</measValue></measInfo>")
        places.append(f"<measInfo>{head}{types}{value}{results}{flag}</measValue></measInfo>")
    found = read(measured(*lists))
    assert found == read(measured(*places))
    expected = {
        f"SubNetwork=1,ManagedElement=A,Cell={cell}": {name: v for name, v in values.items() if v is not None}
        for cell, values in cells.items()
    }
    assert [one.values for one in found] == ([expected] if cells else [])
    assert all(one.suspect is suspect for one in found)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_what_was_broken_is_refused_or_read_and_never_more(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([COLLECTED.encode(), gzip.compress(COLLECTED.encode(), mtime=0)])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["byte", "cut", "drop", "double"])):
            case "byte":
                content[at] = data.draw(st.integers(0, 255))
            case "cut":
                del content[max(at, 1) :]
            case "drop":
                del content[at : at + data.draw(st.integers(1, 40))]
            case _:
                content[at:at] = content[at : at + data.draw(st.integers(1, 40))]
        content = content or bytearray(b"x")
    try:
        found = read(bytes(content))
    except InputError as refused:
        found = []
        assert refused.message.startswith("A1.xml")  # noqa: PT017
    numbers_only = [value for one in found for values in one.values.values() for value in values.values()]
    assert all(isinstance(value, float) for value in numbers_only)
