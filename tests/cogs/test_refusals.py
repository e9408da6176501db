"""What skills.video refuses, as the member who asked reads it."""

from typing import Any

import pytest

from bot.errors import Reason
from bot.jobs import JobStatus
from bot.sandbox.skills.models import Contract
from tests.support.easel import Stage

ROWS: list[tuple[dict[str, Any], dict[str, Any], str, Reason, str]] = [
    # settings, the stand-in's state, prompt, reason, sentence
    ({"skills_api_key": "wrong"}, {}, "a hen", Reason.AUTH, "does not accept this bot's key"),
    ({}, {"subscription": 0, "permanent": 0}, "a hen", Reason.CREDITS, "account at skills.video"),
    ({}, {}, "a forbidden hen", Reason.REJECTED, "refused this prompt or picture"),
    ({}, {"rejects": "later"}, "a forbidden hen", Reason.REJECTED, "refused this prompt"),
    ({"skills_model": "qwen/gone"}, {}, "a hen", Reason.NOT_FOUND, "Please try again"),
]


@pytest.mark.long
@pytest.mark.parametrize("contract", ["old", "new"])
@pytest.mark.parametrize(("settings", "state", "prompt", "reason", "says"), ROWS)
async def test_a_refusal_of_skills_video_is_one_sentence_and_costs_nothing(
    at: Stage,
    contract: Contract,
    settings: dict[str, Any],
    state: dict[str, Any],
    prompt: str,
    reason: Reason,
    says: str,
) -> None:
    at.skills.contract = contract
    for name, value in state.items():
        setattr(at.skills, name, value)
    async with at.easel(**settings):
        await at.imagine(prompt, model="skills")
        failure = await at.said("Nothing was charged")
        (job,) = await at.settled()

    assert (job.status, job.reason) == (JobStatus.FAILED, reason)
    assert says in failure.text()
    assert failure.pings == [at.ada.id]
    assert await at.balance() == 0
