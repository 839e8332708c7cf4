"""Configuration mode: where a session stands, and what a line typed there makes of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from simulators.routers.addresses import is_subinterface
from simulators.routers.config import RouterConfig
from simulators.routers.grammar import Grammar, Match, UnknownInputError


class Mode(Enum):
    """A level of configuration mode."""

    CONFIG = "config"
    INTERFACE = "config-if"
    VRF = "config-vrf"
    ADDRESS_FAMILY = "config-vrf-af"
    STANDARD_LIST = "config-std-nacl"
    EXTENDED_LIST = "config-ext-nacl"


#: Where ``exit`` leads; from the top level it leaves configuration mode.
_PARENTS: Mapping[Mode, Mode] = MappingProxyType(
    {
        Mode.INTERFACE: Mode.CONFIG,
        Mode.VRF: Mode.CONFIG,
        Mode.ADDRESS_FAMILY: Mode.VRF,
        Mode.STANDARD_LIST: Mode.CONFIG,
        Mode.EXTENDED_LIST: Mode.CONFIG,
    }
)


class Editor:
    """A session's place in configuration mode. Every line takes effect by itself, as on the real thing."""

    __slots__ = ("ended", "mode", "notice", "subject")

    def __init__(self) -> None:
        self.mode = Mode.CONFIG
        self.subject = ""
        self.ended = False
        self.notice = ""

    @property
    def label(self) -> str:
        """What the prompt says."""
        inside_port = self.mode is Mode.INTERFACE and is_subinterface(self.subject)
        return "config-subif" if inside_port else self.mode.value

    def enter(self, mode: Mode, subject: str = "") -> None:
        """Go to a level, about an object of this name."""
        self.mode, self.subject = mode, subject

    def leave(self) -> None:
        """Go one level up."""
        if self.mode is Mode.CONFIG:
            self.ended = True
        self.mode = _PARENTS.get(self.mode, Mode.CONFIG)

    def match(self, line: str) -> Match[Change]:
        """What a line means here; one that a lower level does not know may belong to the top level.

        Raises:
            CommandError: it means nothing, or not certainly one thing.
        """
        try:
            return GRAMMARS[self.mode].match(line)
        except UnknownInputError as error:
            if self.mode is Mode.CONFIG:
                raise
            return self._match_above(line, error)

    def _match_above(self, line: str, error: UnknownInputError) -> Match[Change]:
        try:
            return GRAMMARS[Mode.CONFIG].match(line)
        except UnknownInputError as above:
            raise max(error, above, key=lambda found: found.offset) from None

    def apply(self, match: Match[Change], config: RouterConfig) -> RouterConfig:
        """The configuration after a line.

        Raises:
            CommandError: the line is refused.
        """
        self.notice = ""
        return match.action(self, config, *match.arguments)


#: What carries a configuration line out.
Change = Callable[..., RouterConfig]
GRAMMARS: Mapping[Mode, Grammar[Change]] = MappingProxyType({mode: Grammar() for mode in Mode})


@GRAMMARS[Mode.CONFIG].command("exit")
@GRAMMARS[Mode.INTERFACE].command("exit")
@GRAMMARS[Mode.VRF].command("exit")
@GRAMMARS[Mode.ADDRESS_FAMILY].command("exit", "exit-address-family")
@GRAMMARS[Mode.STANDARD_LIST].command("exit")
@GRAMMARS[Mode.EXTENDED_LIST].command("exit")
def _exit(editor: Editor, config: RouterConfig) -> RouterConfig:
    editor.leave()
    return config


@GRAMMARS[Mode.CONFIG].command("end")
def _end(editor: Editor, config: RouterConfig) -> RouterConfig:
    editor.ended = True
    return config


@GRAMMARS[Mode.CONFIG].command("version LINE")
def _version(_editor: Editor, config: RouterConfig, _text: Any) -> RouterConfig:
    return config
