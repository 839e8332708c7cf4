"""Shipped actions that ask or notify people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from controller.models.network import Noun
from controller.playbook.actions.configuration import NoInputs
from controller.playbook.language.registry import (
    Context,
    DeviceAccess,
    OneOf,
    Postponement,
    QuestionPlan,
    UnmetCondition,
    action,
)

#: One address, without a name, blanks or control characters.
EmailAddress = Annotated[str, StringConstraints(pattern=r"^[!-~]+@[!-~]+$", max_length=254)]
#: Stands for recipients that are not known yet.
_SOMEBODY = ("somebody@host.example",)


class QuestionInputs(Noun):
    """What people are asked."""

    text: str = Field(min_length=1, max_length=4000, description="The question.")
    choices: tuple[str, ...] = Field(default=("yes", "no"), description="What may be answered; empty for any text.")
    default: str = Field(
        default="", description="Answer that counts if nobody answers in time; empty: the step fails then."
    )
    per: Literal["run", "wave", "station"] = Field(
        default="run", description="Asked once for the run, once for each wave, or for each station."
    )
    seconds: float = Field(default=86400, gt=0, le=30 * 86400, description="Seconds to wait for an answer.")

    @model_validator(mode="after")
    def _default_is_a_choice(self) -> Self:
        if self.default and self.choices and self.default not in self.choices:
            raise ValueError("the default is not one of the choices")
        return self


class QuestionOutput(Noun):
    """What was answered."""

    answer: Annotated[str, OneOf("choices")] = Field(description="The answer.")
    by: str = Field(description="Who gave it; `nobody` for the default.")
    reason: str = Field(description="Why, in that person's words.")


@action("ask-a-human", DeviceAccess.NONE)
async def ask_a_human(context: Context, given: QuestionInputs) -> QuestionOutput | UnmetCondition | Postponement:
    """Ask people and wait for an answer, given by `minka answer RUN …` or the API.

    The run waits without a worker, over restarts and for days; the station stays reserved for it. Compare
    `output.answer` in `checks`, as in `output.answer == 'yes'`: any answer is an answer. A cancel ends the waiting.
    """
    asked = QuestionPlan(given.text, given.choices, given.default, given.per, given.seconds)
    question = await context.ask(asked)
    if question.answer:
        return QuestionOutput(answer=question.answer, by=question.by, reason=question.reason)
    if context.clock.now() >= question.until:
        return UnmetCondition(f"nobody answered {given.text!r} within {given.seconds:g} s")
    return Postponement(question.until, f"waits for an answer: {given.text}")


class Message(Noun):
    """A message, and the way it goes out."""

    text: str = Field(max_length=4000, description="The message.")
    via: Literal["webhook", "e-mail", "syslog"] = Field(default="webhook", description="The channel.")
    to: tuple[EmailAddress, ...] = Field(
        default=(),
        max_length=50,
        description="Recipients of e-mail, as in noc@bitel.example; empty for those of `MINKA_MAIL_TO`.",
    )


async def _can_be_sent(context: Context, given: Mapping[str, Any]) -> None:
    """Whether a message could be sent, whatever its text is; recipients that are not known are taken for some."""
    to = given.get("to", _SOMEBODY)
    if "via" in given:
        await context.post({"station": context.station} | ({"to": to} if to else {}), given["via"])


@action("notify", DeviceAccess.NONE, judges=_can_be_sent)
async def notify(context: Context, given: Message) -> NoInputs:
    """Notify people: over the webhook of `MINKA_NOTIFY_URL`, the relay of `MINKA_MAIL_RELAY`, or to `MINKA_SYSLOG`.

    The webhook gets JSON with `station` and `text`, syslog a message of RFC 5424 with the station in its structured
    data. At least once: a message may come again after a crash, then with the same `Idempotency-Key` header,
    `Message-ID`, or `key`.
    """
    content = {"station": context.station, "text": given.text}
    await context.post(content | ({"to": given.to} if given.to else {}), given.via)
    return NoInputs()


PEOPLE = (ask_a_human, notify)
