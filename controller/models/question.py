"""Questions that runs ask people, and wait for."""

from __future__ import annotations

from pydantic import AwareDatetime

from controller.models.network import Noun


class Question(Noun):
    """A question of a run, and its answer.

    Attributes:
        id: The run, the step, and the station or wave where it is asked of each.
        station: Whose step it is; empty where it is asked once for several.
        choices: What may be answered; empty for any text.
        default: What counts when nobody answers in time; empty where the step fails then.
        until: Until when an answer counts.
        answer: What was answered; empty while nobody has.
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
