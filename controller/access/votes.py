"""What people said to what they were asked: whether it is enough, a no, or more than they can say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from controller.models.approval import Requirement, Vote, VoteChoice
from controller.models.people import Person
from controller.models.scalars import HOST
from controller.models.sharing import ActionClass, Consent


def rejection(votes: Sequence[Vote]) -> Vote | None:
    """The no that stands, if there is one: one is enough.

    Its author can take it back. If the author is gone, a later yes of another approver of that side does so.
    """
    agreed = {vote.side for vote in votes if vote.choice is VoteChoice.APPROVE and not vote.gone}
    said_no = (vote for vote in votes if vote.choice is VoteChoice.REJECT)
    return next((vote for vote in said_no if not (vote.gone and vote.side in agreed)), None)


def is_approved(requirement: Requirement, votes: Iterable[Vote], requester: str) -> bool:
    """Whether enough people of a side said yes who still count; a requirement of notice needs none.

    What takes service away from a tenant may also be decided by an approver of the host who gives a contractual reason:
    a clause of the agreement that gives the right to. Words of a reason decide nothing.

    Args:
        requirement: What is needed.
        votes: The last of each person.
        requester: Who asked for the run; among the further eyes of the host (``action`` None) that is nobody.
    """
    if requirement.consent is Consent.NOTICE:
        return True
    yes = [vote for vote in votes if vote.choice is VoteChoice.APPROVE and _counts(vote, requirement)]
    if requirement.action is ActionClass.REDUCE and any(_has_right(vote, requirement) for vote in yes):
        return True
    return len(_approving(requirement, yes, requester)) >= requirement.needed


def unanswerable(
    requirements: Iterable[Requirement], people: Collection[Person], requester: str
) -> frozenset[Requirement]:
    """Approvals that fewer people may give than are needed.

    Args:
        requirements: What is needed; a requirement of notice needs nobody.
        people: Who may approve now, each with the provider where they sign in, if they do.
        requester: Who asked for the run; among the further eyes of the host (``action`` None) that is nobody.
    """

    def answers(one: Requirement, person: Person) -> bool:
        named = not one.approvers or person.name in one.approvers
        other = one.action is not None or person.name != requester
        return named and other and person.side == one.side and (bool(person.issuer) or not one.sign_in)

    asked = (one for one in requirements if one.consent is Consent.APPROVAL)
    return frozenset(one for one in asked if sum(answers(one, person) for person in people) < one.needed)


def _approving(requirement: Requirement, yes: Iterable[Vote], requester: str) -> set[str]:
    """Distinct people whose yes counts for a requirement."""
    of_side = {vote.person for vote in yes if vote.side == requirement.side}
    if requirement.approvers:
        of_side &= set(requirement.approvers)
    return of_side - ({requester} if requirement.action is None else set())


def _counts(vote: Vote, requirement: Requirement) -> bool:
    """Whether a vote counts: the person may vote now, and proved who they are in the required way."""
    return not vote.gone and (bool(vote.issuer) or not requirement.sign_in)


def _has_right(vote: Vote, requirement: Requirement) -> bool:
    """Whether an approver of the host gives a valid contractual reason."""
    return vote.side == HOST and any(map(requirement.is_met_by, vote.contracts))


def unanswered(asked: Iterable[Requirement]) -> list[str]:
    """Approvals that fewer users may give now than are needed, in words."""
    words = (f"{one.as_reason.words}: fewer users of {one.side} than that may give it now" for one in asked)
    return sorted(set(words))
