"""Reasons why something waits: codes decide, and words are made of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controller.models.errors import BUG
from controller.models.sharing import ActionClass
from controller.models.waiting import COUNTED, WaitCode, WaitReason, codes_of, ways, words
from controller.store.jobs.run_rows import packed_reasons, unpacked_reasons

AT = datetime(2026, 11, 29, 3, 30, tzinfo=UTC)
LIMA = "America/Lima"
#: A reason of each code that a job may have, and its words.
TOLD = {
    "approval by 1 of host": WaitReason(code=WaitCode.APPROVAL, subject="host", needed=1),
    "approval by 2 of beta (leo, sol), signed in at the identity provider to interrupt": WaitReason(
        code=WaitCode.APPROVAL,
        subject="beta",
        needed=2,
        approvers=("leo", "sol"),
        sign_in=True,
        action=ActionClass.INTERRUPT,
    ),
    "approval by 1 of host to restore beta, which gave no standing consent": WaitReason(
        code=WaitCode.APPROVAL, subject="host", needed=1, action=ActionClass.RESTORE, stands_for="beta"
    ),
    "rejected by leo: not now": WaitReason(code=WaitCode.REJECTION, subject="leo", because="not now"),
    "24 h notice to beta until 2026-11-29 03:30 UTC": WaitReason(
        code=WaitCode.NOTICE, subject="beta", hours=24, until=AT
    ),
    "window opens 2026-11-28 22:30 (America/Lima)": WaitReason(code=WaitCode.WINDOW, until=AT, timezone=LIMA),
    "no window of all concerned is longer than 90 s within two weeks": WaitReason(code=WaitCode.WINDOW, seconds=90),
    "freeze of region:cusco until 2026-11-28 22:30 (America/Lima): elections": WaitReason(
        code=WaitCode.FREEZE, subject="region:cusco", until=AT, timezone=LIMA, because="elections"
    ),
    "public warning tsunami-17 in network until 2026-11-29 03:30 UTC: Tsunami": WaitReason(
        code=WaitCode.WARNING, subject="network", warning="tsunami-17", until=AT, because="Tsunami"
    ),
    "hold on A/1 by rosa: on the mast": WaitReason(code=WaitCode.HOLD, subject="A/1", by="rosa", because="on the mast"),
    "could not be reached or was busy": WaitReason(code=WaitCode.AWAY),
    "could not be reached or was busy, tried again 2026-11-28 22:30 (America/Lima)": WaitReason(
        code=WaitCode.AWAY, until=AT, timezone=LIMA
    ),
    "run r-1 works on B and others that are decided together": WaitReason(code=WaitCode.RUN, subject="r-1", device="B"),
    BUG: WaitReason(code=WaitCode.BUG),
}


@pytest.mark.parametrize("told", TOLD)
def test_the_words_of_a_reason_are_made_of_it_alone(told: str) -> None:
    assert TOLD[told].words == told
    assert unpacked_reasons(packed_reasons((TOLD[told],))) == (TOLD[told],)


def test_each_code_of_a_job_has_words() -> None:
    known = {one.code for one in TOLD.values()}
    for code in WaitCode:
        if code not in known:
            with pytest.raises(ValueError, match="code"):
                WaitReason.model_validate({"code": code})


def test_several_reasons_are_told_together_with_each_way_once() -> None:
    both = (TOLD["freeze of region:cusco until 2026-11-28 22:30 (America/Lima): elections"], *TOLD.values())
    assert words(both).split("; ") == [one.words for one in both]
    codes = codes_of(both)
    assert len(codes) == len({*codes})
    assert ways(codes).count("minka freeze lift") == 1, "freezes and public warnings end in the same way"
    assert (words(()), ways(()), packed_reasons(()), unpacked_reasons("")) == ("", "", "", ())


def test_waits_count_as_the_metric_says() -> None:
    assert {code.value for code in COUNTED} == {
        *("approval", "window", "freeze", "hold", "question", "pause", "shelving", "work", "stop", "worker", "other")
    }
    assert [WaitCode.WARNING.counted, WaitCode.ANSWER.counted] == [WaitCode.FREEZE, WaitCode.APPROVAL]
