"""`/server settings`: the rights of everybody, of roles, and of tiers."""

import pytest

from bot.rights import READY_MADE, Allowance, Rights, Subject
from bot.sandbox.discord import Message, Spelling
from bot.sandbox.discord.guilds import Role
from bot.store import servers
from tests.support.acting import press, submit
from tests.support.easel import Stage, text_of
from tests.support.managing import (
    choose,
    let_manage,
    listed_changes,
    opened,
    rights,
    settings,
)

ALLOWANCE = "Allowance of each member, in credits"


async def test_a_role_has_rights_by_a_tier_and_of_its_own(at: Stage) -> None:
    role = at.discord.add_role(at.server, "guests", at.ben)
    let_manage(at)
    async with at.easel():
        page = await role_page(at, role)
        await choose(at, page, "take", "guest")
        assert "Allowance of each member: **40 credits a week** (tier guest)" in page.text()
        form = await press(at, page, "Change amounts")
        await submit(at, form, {"Time between two requests": "2m", ALLOWANCE: "unlimited"})
        form = await press(at, page, "Change models and pictures")
        await submit(at, form, {"Models": ["oxen"], "Edit pictures": ["yes"]})
        assert "Models: **oxen**" in page.text()
        assert "not use skills" in text_of(await at.imagine(by=at.ben, model="skills"))
        listed = await listed_changes(at)

    assert await rights(at, Subject.ROLE, str(role.id)) == Rights(
        tier="guest",
        allowance=Allowance(amount=None),
        cooldown=120,
        models=frozenset({"oxen"}),
        edit=True,
    )
    assert f"**role <@&{role.id}>: cooldown**\nnot set → 120 s" in listed
    assert f"**role <@&{role.id}>: tier**\nnot set → guest" in listed


async def role_page(at: Stage, role: Role) -> Message:
    page = await settings(at)
    await choose(at, page, "page", "roles")
    await choose(at, page, "role", role)
    assert f"Rights of <@&{role.id}>" in page.text()
    return page


async def test_a_deleted_role_is_not_changed(at: Stage) -> None:
    role = at.discord.add_role(at.server, "guests")
    let_manage(at)
    async with at.easel():
        page = await role_page(at, role)
        form = await press(at, page, "Change amounts")
        at.discord.delete_role(at.server, role)
        assert "was deleted" in text_of(await submit(at, form, {ALLOWANCE: "5"}))
        assert "was deleted" in text_of(await press(at, page, "Change amounts"))
        assert "was deleted" in text_of(await choose(at, page, "take", "guest"))

    assert await rights(at, Subject.ROLE, str(role.id)) == Rights()


async def test_a_tier_is_changed_and_reset(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        page = await settings(at)
        await choose(at, page, "page", "tiers")
        await choose(at, page, "tier", "member")
        form = await press(at, page, "Change amounts")
        await submit(at, form, {"Jobs at once": "7"})
        assert "Jobs at once: **7**" in page.text()
        assert "Changed by this server" in page.text()
        await press(at, page, "Reset to ready-made")
        listed = await listed_changes(at)

    assert f"Jobs at once: **{READY_MADE['member'].jobs}**" in page.text()
    assert "**tier member: jobs at once**\n7 → 2" in listed
    assert "**tier member: jobs at once**\n2 → 7" in listed


async def test_default_rights_apply_to_everybody(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        page, form = await opened(at, "default", "Change amounts")
        await submit(at, form, {"Pictures at once": "2", ALLOWANCE: "10"})
        assert "pictures at once is 2" in text_of(await at.imagine(count=4))
        form = await press(at, page, "Change models and pictures")
        await submit(at, form, {"Private pictures": ["no"]})
        assert "private" in text_of(await at.imagine(private=True))

    assert await rights(at, Subject.DEFAULT) == Rights(
        allowance=Allowance(amount=10_000), pictures=2, private=False
    )


@pytest.mark.long
@pytest.mark.parametrize("spelling", [Spelling.LABEL, Spelling.CASE])
async def test_a_client_may_send_the_label_or_another_case(at: Stage, spelling: Spelling) -> None:
    let_manage(at)
    async with at.easel():
        at.discord.spelling = spelling
        page = await settings(at)
        await choose(at, page, "page", "default")
        await choose(at, page, "take", "artist")
        form = await press(at, page, "Change models and pictures")
        await submit(at, form, {"Models": ["oxen"], "Private pictures": ["no"]})

    assert await rights(at, Subject.DEFAULT) == Rights(
        tier="artist", models=frozenset({"oxen"}), private=False
    )


@pytest.mark.long
async def test_a_model_that_is_no_longer_on_offer_stays_chosen(at: Stage) -> None:
    let_manage(at)
    async with at.easel():
        async with at.database() as database, database.transaction() as tx:
            stored = Rights(models=frozenset({"gone", "oxen"}))
            await servers.store_rights(tx, at.server.id, Subject.DEFAULT, "", stored)
        _, form = await opened(at, "default", "Change models and pictures")
        await submit(at, form, {"Models": ["gone", "skills"]})

    assert await rights(at, Subject.DEFAULT) == Rights(models=frozenset({"gone", "skills"}))
