"""Parser of measurement files: measData of TS 28.532 and measCollecFile of TS 32.435, in one pass. Pure.

Nothing of a file is kept but its values, so that memory is bounded by how many there may be. A document type, and with
it every entity, is refused. An error names the file and the element.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, cast

from lxml import etree

from controller.models.errors import InputError
from controller.models.measurement import DAY, Period, Unread, value_of
from controller.models.untrusted import is_meant, visible
from controller.nrm.tree import LONGEST_KEY, LONGEST_NAME, is_too_long

#: Most bytes of a file, uncompressed.
MOST_BYTES = 64 << 20
#: Most values, measured objects and groups in a file: some hundreds of cells with a thousand counters each.
_MOST_VALUES = 250_000
#: Most periods in a file: a week of those of five minutes has 2,016, and each is looked up on record.
_MOST_PERIODS = 2_100
#: Most objects with a name of their own: some hundreds of cells with their relations to neighbours.
_MOST_OBJECTS = 10_000
#: Most elements, most characters of all names of objects, and most members of a gzip file.
_MOST_ELEMENTS, _MOST_LETTERS, _MOST_MEMBERS = 1_000_000, 16 << 20, 4096
#: Most characters of an attribute or a counter's name, and of a list of names or values.
_LONGEST_WORD, _LONGEST_LIST = 512, 1 << 20
#: Deepest nesting of elements; the standards need four levels.
_DEEPEST = 32
_ROOTS = ("measDataFile", "measCollecFile")
#: Parent of each relevant element; an empty word is the root.
_INSIDE: Mapping[str, str] = {
    "fileHeader": "",
    "measData": "",
    "measEntity": "measData",
    "managedElement": "measData",
    "measInfo": "measData",
    "job": "measInfo",
    "granPeriod": "measInfo",
    "measTypes": "measInfo",
    "measType": "measInfo",
    "measValue": "measInfo",
    "measResults": "measValue",
    "r": "measValue",
    "suspect": "measValue",
}
#: Elements that errors already name by their place.
_PLACED = ("measData", "measInfo", "measValue")
#: First bytes of a gzip file (RFC 1952 §2.3.1), zlib's setting for gzip only, and bytes unpacked at once.
_GZIP, _GZIP_ONLY, _PIECE = b"\x1f\x8b", 31, 1 << 16
_DURATION = re.compile(r"^P(?:([0-9]{1,3})D)?(?:T(?:([0-9]{1,4})H)?(?:([0-9]{1,5})M)?(?:([0-9]{1,6})(?:\.0*)?S)?)?$")
_UNIT_SECONDS = (86400, 3600, 60, 1)


def read_file(name: str, content: Iterable[bytes], most_bytes: int = MOST_BYTES) -> list[Period]:
    """The granularity periods in a file, by job and time.

    A file of several jobs, or of several periods, has several. A value that is not there (NIL, NULL, empty) is left
    out; one that can't be read is left out and counted (``Period.unread``). A period is suspect if one of its values
    is, if one is impossible, or if a counter of an object stands there twice and differs.

    Args:
        name: Of the file, for errors.
        content: Its bytes in any pieces, as they are or compressed by gzip.
        most_bytes: How long it may be when it is unpacked.

    Raises:
        InputError: It is no such file, is cut, or is too large. Nothing of it counts then.
    """
    reader = _Reader(visible(name))
    parser = etree.XMLParser(
        target=cast("Any", reader),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    empty = True
    try:
        for piece in _unpacked(reader, content, most_bytes):
            empty = empty and not piece
            parser.feed(piece)
        if empty:
            raise reader.error("it is empty")
        parser.close()
    except etree.XMLSyntaxError as error:
        raise reader.error(f"it is no XML, or cut: {visible(str(error.msg))}") from error
    return reader.periods()


def _unpacked(reader: _Reader, content: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The uncompressed file, up to the largest size."""
    pieces, start, size = iter(content), b"", 0
    while len(start) < len(_GZIP) and (piece := next(pieces, None)) is not None:
        start += piece
    whole = chain((start,), pieces)
    for plain in _gunzipped(reader, whole) if start.startswith(_GZIP) else whole:
        size += len(plain)
        if size > most:
            raise reader.error(f"it is longer than {most} bytes")
        yield plain


def _gunzipped(reader: _Reader, content: Iterable[bytes]) -> Iterator[bytes]:
    unpacker, members = zlib.decompressobj(wbits=_GZIP_ONLY), 1
    try:
        for piece in _in_pieces(content):
            left = piece
            while left:
                if unpacker.eof:
                    members += 1
                    if members > _MOST_MEMBERS:
                        raise reader.error(f"its gzip has more than {_MOST_MEMBERS} members")
                    unpacker = zlib.decompressobj(wbits=_GZIP_ONLY)
                yield unpacker.decompress(left, _PIECE)
                left = unpacker.unconsumed_tail or unpacker.unused_data
        while plain := unpacker.decompress(b"", _PIECE):
            yield plain
    except zlib.error as error:
        raise reader.error(f"it is no gzip: {error}") from error
    if not unpacker.eof:
        raise reader.error("it is cut: its gzip does not end")


def _in_pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """Short pieces: each is copied whenever a member ends in it, or its output is full."""
    for piece in content:
        for at in range(0, len(piece), _PIECE):
            yield piece[at : at + _PIECE]


class _Reader:
    """Parser target of lxml: builds the periods element by element."""

    def __init__(self, name: str) -> None:
        self._name = name
        #: Names of open elements, without namespaces; the root is an empty word.
        self._open: list[str] = []
        self._text: list[str] | None = None
        self._length = 0
        self._budget, self._elements, self._letters = _MOST_VALUES, _MOST_ELEMENTS, _MOST_LETTERS
        self._periods: dict[tuple[str, datetime, datetime], Period] = {}
        self._objects: set[str] = set()
        self._prefix = ""
        self._blocks = self._groups = 0
        self._group = _Group()
        self._starts: Mapping[str, Callable[[Mapping[str, str]], None]] = {
            "fileHeader": self._file_header,
            "measData": self._meas_data,
            "measEntity": self._element,
            "managedElement": self._element,
            "measInfo": self._meas_info,
            "job": self._job,
            "granPeriod": self._period,
            "measType": self._position,
            "r": self._position,
            "measValue": self._meas_value,
        }
        self._ends: Mapping[str, Callable[[str], None]] = {
            "measTypes": self._types,
            "measType": self._type,
            "measResults": self._results,
            "r": self._result,
            "suspect": self._suspect,
        }

    # What the parser calls.

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._elements -= 1
        if self._elements < 0:
            raise self.error(f"it has more than {_MOST_ELEMENTS} elements")
        name = tag.rpartition("}")[2]
        if not self._open:
            if name not in _ROOTS:
                raise self.error(f"its root is {_shown(name)}, not {' or '.join(_ROOTS)}")
            self._open.append("")
            return
        if len(self._open) > _DEEPEST:
            raise self.error(f"its elements are nested more than {_DEEPEST} levels deep")
        known = _INSIDE.get(name) == self._open[-1]
        self._open.append(name if known else f"?{name}")
        if known:
            if name in self._starts:
                self._starts[name](attributes)
            if name in self._ends:
                self._text, self._length = [], 0

    def data(self, text: str) -> None:
        """Text of the last opened element, or a piece of it."""
        if self._text is not None:
            self._length += len(text)
            if self._length > _LONGEST_LIST:
                raise self.error(f"its text is longer than {_LONGEST_LIST} letters")
            self._text.append(text)

    def end(self, _tag: str) -> None:
        """An element ends."""
        name = self._open[-1]
        if self._text is not None and name in self._ends:
            text, self._text = "".join(self._text), None
            self._ends[name](text)
        self._open.pop()

    def doctype(self, *_: object) -> None:
        """A document type, which could declare entities."""
        raise self.error("it has a document type, which no measurement file has")

    def close(self) -> None:
        """The file ends."""

    # What there is.

    def error(self, message: str) -> InputError:
        """An error that names file and element."""
        place = ""
        if self._blocks:
            place = f", measData[{self._blocks}]"
            place += f"/measInfo[{self._groups}]" if self._groups else ""
            place += f"/measValue[{_shown(self._group.local)}]" if self._group.local else ""
            inner = self._open[-1] if self._open else ""
            place += f"/{inner}" if inner in _INSIDE and inner not in _PLACED else ""
        return InputError(f"{self._name}{place}: {message}")

    def periods(self) -> list[Period]:
        """All periods, by job and time."""
        return [self._periods[key] for key in sorted(self._periods)]

    # Elements.

    def _attribute(self, attributes: Mapping[str, str], name: str, *, needed: bool = True) -> str:
        value = attributes.get(name, "").strip()
        if needed and not value:
            raise self.error(f"it has no {name}")
        if len(value) > _LONGEST_WORD:
            raise self.error(f"its {name} is longer than {_LONGEST_WORD} letters")
        return value

    def _spend(self) -> None:
        self._budget -= 1
        if self._budget < 0:
            raise self.error(f"the file has more than {_MOST_VALUES} values")

    def _file_header(self, attributes: Mapping[str, str]) -> None:
        self._prefix = self._attribute(attributes, "dnPrefix", needed=False)

    def _meas_data(self, _: Mapping[str, str]) -> None:
        self._blocks += 1
        self._groups, self._group = 0, _Group()

    def _element(self, attributes: Mapping[str, str]) -> None:
        self._group = _Group(element=self._attribute(attributes, "localDn", needed=False))

    def _meas_info(self, _: Mapping[str, str]) -> None:
        self._spend()
        self._groups += 1
        self._group = _Group(element=self._group.element)

    def _job(self, attributes: Mapping[str, str]) -> None:
        self._group.job = self._attribute(attributes, "jobId")

    def _period(self, attributes: Mapping[str, str]) -> None:
        length, until = self._attribute(attributes, "duration"), self._attribute(attributes, "endTime")
        seconds = _seconds(length)
        if not 0 < seconds <= DAY:
            raise self.error(f"its duration is {_shown(length)}, not one such as PT900S, of a day at most")
        try:
            end = datetime.fromisoformat(until)
            self._group.span = end - timedelta(seconds=seconds), end
        except (ValueError, OverflowError):
            end = None
        if end is None or end.utcoffset() is None or not is_meant(end):
            right = "a time with its offset from UTC, as in 2026-10-01T00:15:00-05:00"
            raise self.error(f"its endTime is {_shown(until)}, not {right}")

    def _position(self, attributes: Mapping[str, str]) -> None:
        self._group.position = self._attribute(attributes, "p")

    def _types(self, text: str) -> None:
        for at, name in enumerate(text.split(), 1):
            self._add_type(str(at), name)

    def _type(self, text: str) -> None:
        self._add_type(self._group.position, text.strip())

    def _add_type(self, position: str, name: str) -> None:
        self._spend()
        if not name or len(name) > _LONGEST_WORD:
            raise self.error(f"the name of a counter has {len(name)} letters, not 1 to {_LONGEST_WORD}")
        if position in self._group.types:
            raise self.error(f"position {_shown(position)} is that of two counters")
        self._group.types[position] = name

    def _meas_value(self, attributes: Mapping[str, str]) -> None:
        self._spend()
        group = self._group
        if group.span is None:
            raise self.error("it stands before its granPeriod")
        group.local = self._attribute(attributes, "measObjLdn", needed=False)
        above = (self._prefix, "" if "ManagedElement=" in group.local else group.element)
        group.object = ",".join(part for part in (*above, group.local) if part)
        self._letters -= len(group.object)
        if self._letters < 0:
            raise self.error(f"the names of its objects have more than {_MOST_LETTERS} letters")
        if group.object not in self._objects:
            self._add_object(group.object)
        self._current().values.setdefault(group.object, {})

    def _add_object(self, name: str) -> None:
        if is_too_long(name):
            longest = f"{LONGEST_NAME} letters, or has a part longer than {LONGEST_KEY}"
            raise self.error(f"the name of its object is longer than {longest}")
        if len(self._objects) == _MOST_OBJECTS:
            raise self.error(f"the file has more than {_MOST_OBJECTS} objects")
        self._objects.add(name)

    def _results(self, text: str) -> None:
        words = text.split()
        if len(words) != len(self._group.types):
            raise self.error(f"it has {len(words)} values of {len(self._group.types)} counters")
        for name, word in zip(self._group.types.values(), words, strict=True):
            self._add(name, word)

    def _result(self, text: str) -> None:
        name = self._group.types.get(self._group.position)
        if name is None:
            raise self.error(f"there is no measType of position {_shown(self._group.position)}")
        self._add(name, text)

    def _add(self, name: str, word: str) -> None:
        self._spend()
        value = value_of(word)
        if value is None:
            return
        if isinstance(value, Unread):
            unread = self._current().unread
            unread[value.value] = unread.get(value.value, 0) + 1
            if value is Unread.IMPOSSIBLE:
                self._mark_suspect()
            return
        values = self._current().values[self._group.object]
        if values.setdefault(name, value) != value:
            self._mark_suspect()

    def _suspect(self, text: str) -> None:
        if text.strip() in ("true", "1"):
            self._mark_suspect()

    def _mark_suspect(self) -> None:
        period = self._current()
        if not period.suspect:
            self._periods[period.job, period.begin, period.end] = period.model_copy(update={"suspect": True})

    def _current(self) -> Period:
        """The period of the current group; copies of it share its values, and the counts of unread ones."""
        assert self._group.span is not None
        begin, end = self._group.span
        key = self._group.job, begin, end
        if key not in self._periods:
            if len(self._periods) == _MOST_PERIODS:
                raise self.error(f"the file has more than {_MOST_PERIODS} periods")
            self._periods[key] = Period.model_construct(
                job=key[0], begin=begin, end=end, suspect=False, values={}, unread={}
            )
        return self._periods[key]


@dataclass(slots=True)
class _Group:
    """State of the current measInfo, and of the measValue in it."""

    element: str = ""
    job: str = ""
    span: tuple[datetime, datetime] | None = None
    types: dict[str, str] = field(default_factory=dict)
    position: str = ""
    local: str = ""
    object: str = ""


def _seconds(duration: str) -> int:
    """Seconds of an XML duration of days and less; 0 if it is invalid."""
    match = _DURATION.match(duration)
    if match is None:
        return 0
    return sum(int(number or 0) * seconds for number, seconds in zip(match.groups(), _UNIT_SECONDS, strict=True))


def _shown(text: str) -> str:
    """A text of the file, for an error."""
    return repr(visible(text[:80]))
