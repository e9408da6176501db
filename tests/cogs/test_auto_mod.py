"""AutoMod refuses the words of a prompt: the messages are sent without them."""

import pytest

from bot.jobs import JobStatus
from bot.sandbox.discord import Upload
from tests.support.delivery import direct, drawing, one_each, results_in, unfinished
from tests.support.easel import Stage, text_of
from tests.support.files import picture

HIDDEN = "prompt hidden by this server's AutoMod"


async def test_a_result_that_automod_refuses_is_posted_without_the_prompt(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1)
        at.discord.add_keyword_rule(at.server, "fox")
        await at.finish()
        (job,) = await at.settled()

    (result,) = results_in(at, at.channel)
    assert result.id == job.result_message_id
    assert HIDDEN in result.text()
    assert "fox" not in result.text() + str(result.components)
    assert result.pings == [at.ada.id]
    assert not unfinished(at)
    assert not direct(at)


@pytest.mark.long
async def test_a_reply_that_automod_refuses_is_sent_without_the_prompt(at: Stage) -> None:
    at.discord.add_keyword_rule(at.server, "fox*")
    async with at.easel():
        asked = await at.imagine("a Fox in the snow")
        assert asked.message is not None
        assert HIDDEN in asked.message.text()
        (job,) = await at.settled()
        at.oxen.manual = True
        again = await at.edit(Upload("a.png", picture()), prompt="a fox")
        await at.oxen.created(2)
        await at.command("cancel", job=(await at.jobs())[0].id)
        await at.settled(2)

    assert job.status is JobStatus.SUCCEEDED
    one_each(results_in(at, at.channel), [job])
    assert again.message is not None
    assert "Canceled" in again.message.text()
    assert HIDDEN in again.message.text()
    assert unfinished(at) == []


@pytest.mark.long
async def test_a_reply_whose_own_words_automod_refuses_is_a_refusal(at: Stage) -> None:
    at.discord.add_keyword_rule(at.server, "chosen")
    async with at.easel():
        refused = await at.imagine("a fox")
        (job,) = await at.settled()

    assert "AutoMod does not let the bot reply here" in text_of(refused)
    assert job.status is JobStatus.CANCELED
    assert at.created() == []
    assert await at.balance() == 0


@pytest.mark.long
async def test_a_failure_that_automod_refuses_is_posted_without_the_prompt(at: Stage) -> None:
    at.discord.add_keyword_rule(at.server, "*orbid*")
    async with at.easel():
        at.oxen.fail_next()
        await at.imagine("forbidden")
        (job,) = await at.settled()

    (told,) = at.discord.channel_messages(at.channel)
    assert (job.status, told.id) == (JobStatus.FAILED, job.result_message_id)
    assert HIDDEN in told.text()


@pytest.mark.long
async def test_a_rule_against_every_message_ends_at_the_requester(at: Stage) -> None:
    """AutoMod refuses the message without the prompt too: its own words are the reason."""
    async with at.easel():
        await drawing(at, 1)
        at.discord.add_keyword_rule(at.server, "*e*")
        await at.finish()
        (job,) = await at.settled()

    shown = [each for each in at.discord.world.messages.values() if each.pictures()]
    assert [each.id for each in shown] == [job.result_message_id]
    assert shown[0].ephemeral_to is at.ada
    assert unfinished(at) == []


@pytest.mark.long
async def test_people_are_concerned_by_every_rule_and_the_bot_by_some(at: Stage) -> None:
    at.discord.add_keyword_rule(at.server, "fox", bots=False)
    async with at.easel():
        await at.imagine("a fox")
        (job,) = await at.settled()

    one_each(results_in(at, at.channel), [job])
    assert "fox" in results_in(at, at.channel)[0].text()
    with pytest.raises(Exception, match="200000"):
        await at.discord.say(at.ben, at.channel, "Fox!")
    await at.discord.say(at.ben, at.channel, "foxes")  # a keyword is a whole word
