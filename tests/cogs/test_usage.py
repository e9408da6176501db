"""/usage: a member's credits, by model, and the chart of the last days."""

import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from bot import charts
from bot.periods import PeriodKind
from bot.sandbox.discord import Message
from bot.sandbox.discord.components import walk
from bot.sandbox.http.faults import Answer, HoldLost
from cogs import usage
from tests.support.allowances import allow, grant, move_to
from tests.support.delivery import FOLLOW_UPS, drawing
from tests.support.easel import Stage

SKILLS = {"model": "skills"}
REFUSED = {"code": 50035, "message": "Invalid Form Body"}


def descriptions(message: Message) -> list[str]:
    """Return the alt texts of the pictures in a message."""
    galleries = [each for each in walk(message.components) if each["type"] == 12]
    return [item["description"] for each in galleries for item in each["items"]]


async def drawn(at: Stage, prompt: str, **options: Any) -> None:  # noqa: ANN401
    await at.imagine(prompt, **options)
    await at.result(prompt)
    await at.settled()


async def test_usage_tells_what_is_used_held_and_left(at: Stage) -> None:
    async with at.easel(monthly_credits=100):
        await drawn(at, "a fox", count=2)
        at.oxen.manual = True
        await at.imagine("a hen")
        told = (await at.usage()).text()
        of_ben = (await at.usage(by=at.ben)).text()

    assert "Used: **15 credits**" in told
    assert "Held for jobs in progress: **7.5 credits**" in told
    assert "Left: **77.5 credits**\nAllowance: **100 credits**" in told
    assert "Pictures: **2** · Jobs: **2**" in told
    assert "Left: **100 credits**" in of_ben


async def test_used_is_what_oxen_charged(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a fox", count=3)
        told = (await at.usage()).text()

    charged = sum(at.oxen.charges.values(), Decimal(0)) * 100
    assert f"Used: **{charged.normalize():f} credits**" in told
    assert await at.balance() == -charged * 1000


@pytest.mark.parametrize(
    ("locale", "left", "granted", "used"),
    [
        ("en-US", "1,235 credits", "1,227.5 credits", "7.5 credits"),
        ("de", "1.235 credits", "1.227,5 credits", "7,5 credits"),
        ("fr", "1\u202f235 credits", "1\u202f227,5 credits", "7,5 credits"),
    ],
)
async def test_a_server_has_an_allowance_and_grants_besides_the_month(
    at: Stage, locale: str, left: str, granted: str, used: str
) -> None:
    at.ada.locale = locale
    await allow(at, 15)
    await grant(at, 1227.5)
    async with at.easel(monthly_credits=5000):
        await drawn(at, "a fox")
        told = (await at.usage()).text()

    here, month = told.split("### Your credits this month in all servers")
    assert "### Your credits this week in this server" in here
    assert f"Left: **{left}**" in here
    assert f"Grants among these: **{granted}** (grants last until they are used)" in here
    assert f"Used: **{used}**" in here
    assert re.search(r"Resets <t:\d+:R>, on <t:\d+:f> \(midnight in UTC\)", here)
    assert "Grants" not in month
    assert f"Used: **{used}**" in month


async def test_a_job_takes_the_allowance_before_the_grants(at: Stage) -> None:
    await allow(at, 10)
    await grant(at, 20)
    async with at.easel():
        await drawn(at, "a fox", count=2)
        told = (await at.usage()).text()

    assert "Left: **15 credits**" in told
    assert "Grants among these: **15 credits**" in told
    assert "Allowance: **10 credits**" in told


@pytest.mark.long
async def test_who_is_below_zero_reads_that(at: Stage) -> None:
    at.oxen.charged_price = "0.2"
    await allow(at, 7.5)
    async with at.easel():
        await drawn(at, "a fox")
        told = (await at.usage()).text()

    assert "Left: **12.5 credits below zero**, because a job has cost more" in told


@pytest.mark.long
async def test_direct_messages_show_the_month_over_all_servers(at: Stage) -> None:
    await allow(at, 50)
    async with at.easel(monthly_credits=100):
        await drawn(at, "a fox")
        told = await at.usage(where=at.discord.dm_channel(at.ada))

    assert "this server" not in told.text()
    assert "### Your credits this month in all servers\nLeft: **92.5 credits**" in told.text()
    assert "### The last 30 days in all servers" in told.text()
    assert told.pictures()


@pytest.mark.long
async def test_without_a_limit_nothing_is_called_left(at: Stage) -> None:
    async with at.easel():
        told = (await at.usage()).text()

    assert "### Your credits this month in this server\nLeft: **no limit**" in told
    assert "all servers" not in told


@pytest.mark.long
async def test_an_allowance_of_nothing_is_not_renewed(at: Stage) -> None:
    await allow(at, 0, PeriodKind.DAY)
    async with at.easel():
        told = (await at.usage()).text()

    assert "### Your credits today in this server\nLeft: **0 credits**" in told
    assert "Resets" not in told


@pytest.mark.long
async def test_the_models_stand_in_the_order_of_their_costs(at: Stage) -> None:
    at.ada.locale = "de"
    async with at.easel():
        await drawn(at, "a fox", model="oxen")
        await drawn(at, "a hen", count=2, **SKILLS)
        at.oxen.fail_next("Content was rejected")
        await at.imagine("a hare", model="oxen")
        await at.settled(3)
        told = (await at.usage()).text()

    lines = [line for line in told.splitlines() if line.startswith("- ")]
    assert lines == [
        "- Qwen Image 2 Pro at skills.video: **40 credits** · 2 pictures · 1 job",
        "- Qwen Image 2 Pro at Oxen.ai: **7,5 credits** · 1 picture · 2 jobs",
    ]


@pytest.mark.long
async def test_the_chart_shows_the_last_days_in_words_too(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a fox", count=3)
        at.clock.move(days=2)
        await drawn(at, "a hen")
        told = await at.usage()
        today = at.clock().date()

    (chart,) = told.pictures()
    data = at.discord.world.cdn.files[urlsplit(chart).path].data
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 3 * 250
    (alt_text,) = descriptions(told)
    first, dearest = today - timedelta(days=29), today - timedelta(days=2)
    assert alt_text == (
        f"Bar chart: 30 credits from {first.day} {first:%B} to {today.day} {today:%B}. "
        f"The dearest day is {dearest.day} {dearest:%B}, with 22.5 credits."
    )


@pytest.mark.long
async def test_the_days_are_those_of_the_servers_time_zone(at: Stage) -> None:
    zone = "Pacific/Kiritimati"  # 14 hours before UTC
    await move_to(at, zone)
    async with at.easel():
        await drawn(at, "a fox")
        requested = at.clock()
        (alt_text,) = descriptions(await at.usage())

    day = requested.astimezone(ZoneInfo(zone))
    assert f"to {day.day} {day:%B}. The dearest day is {day.day} {day:%B}," in alt_text


@pytest.mark.long
async def test_a_month_without_use_has_a_sentence_and_no_chart(at: Stage) -> None:
    async with at.easel():
        await drawn(at, "a fox")
        at.clock.move(days=31)
        told = await at.usage()

    assert "### The last 30 days in this server\nNo credits were used." in told.text()
    assert not told.pictures()


@pytest.mark.long
async def test_a_chart_that_is_too_slow_is_left_out(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "TIMEOUT", 0)
    async with at.easel():
        await drawn(at, "a fox")
        told = await at.usage()

    assert "Used: **7.5 credits**" in told.text()
    assert "There is no chart at the moment." in told.text()
    assert not told.pictures()


@pytest.mark.long
@pytest.mark.parametrize("fault", [Answer(400, REFUSED), HoldLost()], ids=["refused", "unanswered"])
async def test_a_chart_that_discord_does_not_take_is_left_out(
    at: Stage, fault: Answer | HoldLost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "UPLOAD_SECONDS", 2.0)
    async with at.easel():
        await drawn(at, "a fox")
        rule = at.discord.faults.add("POST", FOLLOW_UPS, fault)
        told = await at.usage()
        rule.release()

    assert "Used: **7.5 credits**" in told.text()
    assert not told.pictures()


@pytest.mark.long
async def test_holds_of_running_jobs_are_no_part_of_the_chart(at: Stage) -> None:
    async with at.easel():
        await drawing(at, 1)
        told = await at.usage()
        await at.finish()
        await at.settled()

    assert "Held for jobs in progress: **7.5 credits**" in told.text()
    assert not told.pictures()
