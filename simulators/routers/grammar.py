"""Command lines matched word by word, with keywords shortened as far as they stay unambiguous.

A syntax is a text such as ``show ip route [vrf WORD]``: words in lower case are keywords, in upper case
arguments; what stands in brackets may be left out. LINE takes the rest of the line as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from simulators.routers.addresses import read_address, read_interface

_Action = TypeVar("_Action", bound=Callable[..., Any])
_REST = "LINE"


class CommandError(Exception):
    """A line is refused; ``text`` is all that the router prints."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class UnknownInputError(CommandError):
    """A word matches nothing; ``offset`` is its position."""

    def __init__(self, offset: int) -> None:
        super().__init__("% Invalid input detected at '^' marker.")
        self.offset = offset


class IncompleteError(CommandError):
    """More words are needed."""

    def __init__(self) -> None:
        super().__init__("% Incomplete command.")


class AmbiguousError(CommandError):
    """A shortened word matches several keywords."""

    def __init__(self, line: str) -> None:
        super().__init__(f'% Ambiguous command:  "{line}"')


def _number(low: int, high: int, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise ValueError(f"{text} is not within {low} to {high}")
    return int(text)


def _word(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{text} has an odd character")
    return text


#: Readers of arguments; each raises ValueError for a wrong value.
_ARGUMENTS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        "WORD": partial(_word, r"[!-~]{1,63}"),
        "NAME": partial(_word, r"[A-Za-z0-9_.:-]{1,32}"),
        "RD": partial(_word, r"\d{1,10}:\d{1,10}"),
        "ADDRESS": read_address,
        "MASK": read_address,
        "INTERFACE": read_interface,
        "VLAN": partial(_number, 1, 4094),
        "DISTANCE": partial(_number, 1, 255),
        "NUMBER": partial(_number, 0, 2147483647),
        "SEQUENCE": partial(_number, 1, 2147483647),
        "SECONDS": partial(_number, 0, 3600),
        "COUNT": partial(_number, 1, 1000),
        "STANDARD": partial(_number, 1, 99),
        "EXTENDED": partial(_number, 100, 199),
        "MINUTES": partial(_word, r"\d{1,3}(:\d{2})?"),
    }
)


class Word(NamedTuple):
    """A word of a line and where it begins."""

    text: str
    offset: int


def words_of(line: str) -> list[Word]:
    """The words of a line; the number of an interface may stand apart from its kind."""
    words: list[Word] = []
    for found in re.finditer(r"[^ \t]+", line):
        word = Word(found[0], found.start())
        if len(words) > 1 and word.text[0].isdigit() and words[-1].text.isalpha() and _says_interface(words[-2].text):
            words[-1] = Word(words[-1].text + word.text, words[-1].offset)
        else:
            words.append(word)
    return words


def _says_interface(word: str) -> bool:
    return len(word) >= 3 and "interfaces".startswith(word.lower())


@dataclass(frozen=True, slots=True)
class _Pattern(Generic[_Action]):
    tokens: tuple[str, ...]
    action: _Action

    @property
    def name(self) -> str:
        """The keywords, which name the command."""
        return " ".join(token for token in self.tokens if token not in _ARGUMENTS and token != _REST)


class _Candidate(NamedTuple, Generic[_Action]):
    pattern: _Pattern[_Action]
    arguments: tuple[Any, ...]


class Match(NamedTuple, Generic[_Action]):
    """The meaning of a line: the command by its full keywords, its action, its arguments."""

    name: str
    action: _Action
    arguments: tuple[Any, ...]


class Grammar(Generic[_Action]):
    """The commands of one mode."""

    def __init__(self) -> None:
        self._patterns: list[_Pattern[_Action]] = []

    def command(self, *syntaxes: str) -> Callable[[_Action], _Action]:
        """Register an action for lines of these syntaxes; it gets their arguments in order."""

        def register(action: _Action) -> _Action:
            for syntax in syntaxes:
                self._patterns += [_Pattern(tokens, action) for tokens in _expand(syntax)]
            return action

        return register

    def match(self, line: str) -> Match[_Action]:
        """The command that a line means.

        Raises:
            UnknownInputError, IncompleteError, AmbiguousError: none, or not certainly one.
        """
        alive = [_Candidate(pattern, ()) for pattern in self._patterns]
        words = words_of(line)
        for position, word in enumerate(words):
            rest = next((c for c in alive if c.pattern.tokens[position:] == (_REST,)), None)
            alive = _step(alive, position, word, line)
            if not alive and rest is not None:
                return _matched(rest, line[word.offset :].rstrip())
            if not alive:
                raise UnknownInputError(word.offset)
        for candidate in alive:
            if len(candidate.pattern.tokens) == len(words):
                return _matched(candidate)
        raise IncompleteError

    def keywords(self, line: str) -> list[str]:
        """The next words after a line of whole words, for the question mark."""
        alive = [_Candidate(pattern, ()) for pattern in self._patterns]
        words = words_of(line)
        for position, word in enumerate(words):
            alive = _step(alive, position, word, line)
        longer = (c.pattern.tokens for c in alive if len(c.pattern.tokens) > len(words))
        return sorted({tokens[len(words)] for tokens in longer})


def _matched(candidate: _Candidate[_Action], *rest: str) -> Match[_Action]:
    return Match(candidate.pattern.name, candidate.pattern.action, (*candidate.arguments, *rest))


def _step(alive: list[_Candidate[_Action]], position: int, word: Word, line: str) -> list[_Candidate[_Action]]:
    """The candidates that match this word; a keyword goes before an argument, a whole one before a shortened one."""
    longer = [c for c in alive if len(c.pattern.tokens) > position]
    typed = word.text.lower()
    keywords = {t for c in longer if (t := c.pattern.tokens[position]) not in _ARGUMENTS and t.startswith(typed)}
    if typed in keywords:
        keywords = {typed}
    if len(keywords) > 1:
        raise AmbiguousError(line.strip())
    if keywords:
        return [c for c in longer if c.pattern.tokens[position] in keywords]
    return list(_with_argument(longer, position, word))


def _with_argument(candidates: list[_Candidate[_Action]], position: int, word: Word) -> Iterator[_Candidate[_Action]]:
    for candidate in candidates:
        read = _ARGUMENTS.get(candidate.pattern.tokens[position])
        if read is None:
            continue
        try:
            value = read(word.text)
        except ValueError:
            continue  # drop this reading; no reading left is an error
        yield _Candidate(candidate.pattern, (*candidate.arguments, value))


def _expand(syntax: str) -> Iterator[tuple[str, ...]]:
    """All variants of a syntax with and without the parts in brackets."""
    before, bracket, behind = syntax.partition("[")
    if not bracket:
        yield tuple(syntax.split())
        return
    inside, _, after = behind.partition("]")
    for rest in _expand(after):
        yield (*before.split(), *rest)
        yield (*before.split(), *inside.split(), *rest)
