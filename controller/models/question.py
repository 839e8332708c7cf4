"""Questions that runs ask people, and wait for."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class Question(Noun):
    """A question of a run, and its answer.

    Attributes:
        id: The run, the step, and the station or wave if it is asked for each.
        station: Station of the step; empty if it is asked once for several.
        choices: Allowed answers; empty for any text.
        default: The answer if nobody answers in time; empty if the step fails then.
        until: Until when an answer counts.
        answer: The answer; empty if there is none yet.
        by: Who answered; ``nobody`` for the default.
    """

    id: str
    run: str
    step: str
    station: str = ""
    text: str
    choices: tuple[str, ...] = ()
    default: str = ""
    asked: AwareDatetime
    until: AwareDatetime
    answer: str = ""
    by: str = ""
    reason: str = ""
    answered: AwareDatetime | None = None
