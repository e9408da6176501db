"""Commands by the callbacks of their cogs: arguments, and who reads what."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import discord
import pytest

from bot import charts
from bot.jobs import JobStatus, Notify
from bot.rights import READY_MADE, Subject
from bot.sandbox.discord import Channel, Interaction, User
from bot.sandbox.discord.permissions import MANAGE_GUILD
from bot.sandbox.http.faults import Answer, HoldLost
from bot.store.database import Database
from bot.studio.credit_rules import GrantToBot, OneSubject
from bot.studio.managers import ManagersOnly
from cogs import usage
from cogs.credits import Credits
from cogs.jobs import Jobs
from cogs.my import My, NoSuchChoice
from cogs.ui.usage import CHART
from cogs.usage import Usage
from tests.support.rows import new_job, one
from tests.support.serving import Serving, private_reply, rights, serving

FOLLOW_UPS = r"/api/v10/webhooks/\d+/[^/]+"
TIER = next(iter(READY_MADE))


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(database, tmp_path) as made:
        made.fake.set_permissions(made.server, made.ada, MANAGE_GUILD)
        yield made


async def use(
    by: Serving,
    command: Any,  # noqa: ANN401  # of discord.py
    *arguments: object,
    where: Channel | None = None,
    who: User | None = None,
) -> Interaction:
    """Use a command, which is a method of a cog; return what has come of that."""
    made = by.interaction(where=where, by=who)
    await command.callback(command.binding, by.received(made), *arguments)
    return made


def member(by: Serving, user: Any, *, bot: bool = False) -> discord.User:  # noqa: ANN401
    data: Any = user.to_json() | {"bot": bot}
    return discord.User(state=by.client._connection, data=data)


async def test_a_manager_reads_the_prompts_that_others_read_in_the_same_channel(
    by: Serving,
) -> None:
    ben = by.fake.add_user("Ben")
    await by.result(by=ben, words={"prompt": "an owl"})
    await by.result(by=ben, words={"prompt": "a secret"}, private=True)
    cog, elsewhere = Credits(by.studio), by.fake.add_channel(by.server, "other")

    here = private_reply(await use(by, cog.member, member(by, ben))).text()
    assert "an owl" in here
    assert "a secret" not in here
    there = private_reply(await use(by, cog.member, member(by, ben), where=elsewhere)).text()
    assert "an owl" not in there


async def test_only_a_manager_grants_and_no_bot_is_granted_anything(by: Serving) -> None:
    cog, ben = Credits(by.studio), by.fake.add_user("Ben")
    with pytest.raises(GrantToBot):
        await use(by, cog.grant, member(by, ben, bot=True), "5")
    made = await use(by, cog.grant, member(by, ben), "5", "for the poster")
    assert "5 credits" in private_reply(made).text()

    cleo = by.fake.add_user("Cleo")
    with pytest.raises(ManagersOnly):
        await use(by, cog.grant, member(by, ben, bot=True), "5", who=cleo)
    sent = len(by.sent("POST"))
    with pytest.raises(ManagersOnly):
        await use(by, cog.report, who=cleo)
    assert len(by.sent("POST")) == sent  # nothing was deferred


async def test_an_allowance_has_one_subject(by: Serving) -> None:
    cog, ben = Credits(by.studio), by.fake.add_user("Ben")
    role: Any = discord.Object(77)
    await use(by, cog.allowance, "5", "week")
    await use(by, cog.allowance, "6", None, role)
    await use(by, cog.allowance, "7", None, None, member(by, ben))
    with pytest.raises(OneSubject):
        await use(by, cog.allowance, "8", None, role, member(by, ben))

    found = [
        (await rights(by, subject, name)).allowance
        for subject, name in (
            (Subject.DEFAULT, ""),
            (Subject.ROLE, "77"),
            (Subject.MEMBER, str(ben.id)),
        )
    ]
    assert [each and each.amount for each in found] == [5000, 6000, 7000]
    assert found[0] is not None
    assert found[0].period == "week"


async def test_a_tier_is_taken_for_everybody_or_for_a_role(by: Serving) -> None:
    cog = Credits(by.studio)
    role: Any = discord.Object(77)
    await use(by, cog.take_tier, TIER)
    assert (await rights(by, Subject.DEFAULT)).tier == TIER
    await use(by, cog.take_tier, TIER, role)
    assert (await rights(by, Subject.ROLE, "77")).tier == TIER
    await use(by, cog.drop_tier)
    assert (await rights(by, Subject.DEFAULT)).tier is None
    assert (await rights(by, Subject.ROLE, "77")).tier == TIER
    made = await use(by, cog.drop_tier, role)
    assert (await rights(by, Subject.ROLE, "77")).tier is None
    assert "<@&77>" in private_reply(made).text()


@pytest.fixture(params=[True, False], ids=["chart", "no chart"])
def chart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether charts are drawn: slowly on a busy machine, or never in time."""
    monkeypatch.setattr(charts, "TIMEOUT", 120.0 if request.param else 0)
    return bool(request.param)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a chart be drawn, however busy the machine is."""
    monkeypatch.setattr(charts, "TIMEOUT", 120.0)


async def test_usage_without_credits_is_a_first_reply(by: Serving) -> None:
    made = await use(by, Usage(by.studio).usage)

    assert made.response is not None
    assert made.response["type"] == 4
    assert private_reply(made).files == []


async def test_usage_has_a_chart_or_says_that_there_is_none(
    by: Serving, chart: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await by.result()
    made = await use(by, Usage(by.studio).usage)

    assert [each.filename for each in private_reply(made).files] == ([CHART] if chart else [])
    assert made.followups == []
    lines = [each for each in caplog.messages if "chart" in each]
    assert lines == ([] if chart else ["chart not drawn: no chart within 0 s"])


@pytest.mark.parametrize(
    "fault", [Answer(403, {"code": 50013, "message": "no"}), Answer(429, "<html>")], ids=repr
)
@pytest.mark.usefixtures("patient")
async def test_a_chart_that_is_not_uploaded_is_left_out(
    by: Serving, fault: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    by.fake.faults.add("POST", FOLLOW_UPS, fault)
    await by.result()
    made = await use(by, Usage(by.studio).usage)

    assert private_reply(made).files == []
    assert "credit" in private_reply(made).text()
    assert caplog.messages[-1].startswith("chart not uploaded: ")
    assert usage.UPLOAD_SECONDS == 30


@pytest.mark.usefixtures("patient")
async def test_an_upload_of_a_chart_that_takes_too_long_is_left(
    by: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "UPLOAD_SECONDS", 2.0)
    held = by.fake.faults.add("POST", FOLLOW_UPS, HoldLost())
    await by.result()
    made = await use(by, Usage(by.studio).usage)
    held.remove()

    assert private_reply(made).files == []
    assert "credit" in private_reply(made).text()


async def test_a_report_has_its_table_and_its_chart(by: Serving, chart: bool) -> None:
    await by.result()
    made = await use(by, Credits(by.studio).report)
    names = [each.filename for each in private_reply(made).files]

    assert [each.rpartition(".")[2] for each in names] == (["png"] if chart else []) + ["csv"]
    assert all(each.startswith("credits-") for each in names)
    pictures = private_reply(made).pictures()
    assert len(pictures) == chart


async def test_a_report_of_nothing_has_no_files(by: Serving) -> None:
    made = await use(by, Credits(by.studio).report)

    assert private_reply(made).files == []
    assert private_reply(made).text()


async def test_the_choice_of_notifications_is_read_in_any_form(by: Serving) -> None:
    cog = My(by.studio)
    for typed, chosen in (
        ("silent", Notify.SILENT),
        (" PRIVATE ", Notify.PRIVATE),
        ("direct message", Notify.DIRECT),
        ("Ping: a message in the channel, which pings you", Notify.PING),
    ):
        made = await use(by, cog.notify, typed)
        assert await by.studio.preferences.notify_of(by.ada.id) is chosen
        assert "next results" in private_reply(made).text()
    with pytest.raises(NoSuchChoice, match="ping, silent, direct, private"):
        await use(by, cog.notify, "loud")
    made = await use(by, cog.notify)
    assert "Choose another" in private_reply(made).text()
    assert await by.studio.preferences.notify_of(by.ada.id) is Notify.PING


async def test_a_cancel_takes_an_id_in_any_case(by: Serving) -> None:
    job = await one(by.services.database, new_job(by.ada.id, server_id=by.server.id))
    cog = Jobs(by.studio, by.tree)
    await use(by, cog.cancel, f" {job.id.upper()} ")

    assert (await by.job(job.id)).status is JobStatus.CANCELED


async def test_the_help_lists_what_the_member_may_use(by: Serving) -> None:
    for added in (Credits(by.studio).app_command, My(by.studio).app_command):
        assert added is not None
        by.tree.add_command(added)
    cog = Jobs(by.studio, by.tree)

    managers = private_reply(await use(by, cog.help)).text()
    assert "/credits grant" in managers
    assert "/credits tier take" in managers
    members = private_reply(await use(by, cog.help, who=by.fake.add_user("Ben"))).text()
    assert "/credits" not in members
    assert "/my notify" in members
    assert managers.index("/credits budget") < managers.index("/credits grant")
