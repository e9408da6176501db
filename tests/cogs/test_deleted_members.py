"""What managers see of members who have deleted their data: credits, without a mention."""

import pytest
from sqlalchemy import text

from bot.pseudonyms import deleted_member
from bot.studio.managers import member_text
from cogs.ui.text import mention
from tests.cogs.test_credits import charged, manage
from tests.cogs.test_credits_report import report, rows_of
from tests.support.easel import Stage, text_of
from tests.support.managing import let_manage
from tests.support.pseudonyms import KEY, pseudonymise


def test_a_pseudonym_is_shown_by_its_last_digits() -> None:
    assert deleted_member(-4_611_686_018_427_387_903) == "deleted member 7903"
    assert deleted_member(-7) == "deleted member 0007"
    assert mention(-1_234) == member_text(-1_234) == "deleted member 1234"
    assert (mention(12), member_text(12)) == ("<@12>", "member <@12>")


@pytest.mark.long
async def test_a_report_names_no_deleted_member(at: Stage) -> None:
    deleted = deleted_member(KEY.of(at.ada.id))
    async with at.easel() as app:
        old = await charged(at, "a fox")
        await pseudonymise(app.services.database, at.ada.id)
        await charged(at, "a hen", model="skills")  # who comes back
        found = await report(at)
        credits = await manage(at, "member", member=at.ada)

    shown = found.text()
    assert f"- {deleted}: used 7.5 credits" in shown
    assert f"- <@{at.ada.id}>: used 20 credits" in shown
    assert "<@-" not in shown
    members = {row["job"]: row["member"] for row in rows_of(found)}
    assert members[old.id] == deleted
    assert [*members.values()].count(str(at.ada.id)) == 1
    assert "Used: **27.5 credits**" in credits
    assert old.id not in credits


@pytest.mark.long
async def test_a_job_of_a_deleted_member_is_refunded_to_the_pseudonym(at: Stage) -> None:
    deleted = deleted_member(KEY.of(at.ada.id))
    async with at.easel() as app:
        old = await charged(at, "a fox")
        await pseudonymise(app.services.database, at.ada.id)
        let_manage(at, at.ben)
        offered = await at.discord.complete(
            at.ben, at.channel, "credits refund", {"job": ""}, focused="job"
        )
        refund = await manage(at, "refund", job=old.id)
        credits = await manage(at, "member", member=at.ada)
        audit = text_of(await at.command("server audit", by=at.ben))

    assert [each["name"].startswith(f"{deleted} · ") for each in offered] == [True]
    assert f"{deleted} got **7.5 credits** back" in refund
    assert "Granted, and not used yet: **7.5 credits**" in credits
    assert f"<@{at.ben.id}> · **{deleted}: refund of job {old.id}**" in audit


@pytest.mark.long
async def test_the_audit_names_no_manager_who_has_deleted_the_data(at: Stage) -> None:
    async with at.easel() as app:
        await manage(at, "grant", member=at.ada, amount="5")
        async with app.services.database.transaction() as tx:
            await tx.execute(
                text("UPDATE changes SET user_id = -71234, subject = 'deleted member 0005: grant'")
            )
        audit = text_of(await at.command("server audit", by=at.ben))

    assert "deleted member 1234 · **deleted member 0005: grant**" in audit
    assert "<@" not in audit
