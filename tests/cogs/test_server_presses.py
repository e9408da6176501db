"""Presses on the pages of /server settings, genuine and forged, by a client without a gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.rights import READY_MADE, Rights, ServerSettings, Subject
from bot.sandbox.discord import Message
from bot.sandbox.discord.interactions import MODAL
from bot.sandbox.discord.permissions import MANAGE_GUILD, SEND_MESSAGES, VIEW_CHANNEL
from bot.store import servers
from bot.store.changes import NEWEST
from bot.store.database import Database
from cogs import handle_interaction
from cogs.server import _may_post
from cogs.ui.server_forms import marks_of
from cogs.ui.wording import ServerPages
from tests.support.serving import Serving, rights, serving, told

TIER, OTHER = next(iter(READY_MADE)), "none"
NOTHING = "Nothing was chosen. Open /server settings again."
DELETED = "This role was deleted, so nothing was changed."


@pytest.fixture
async def by(database: Database, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(database, tmp_path) as made:
        made.fake.set_permissions(made.server, made.ada, MANAGE_GUILD)
        made.know_server(made.server)
        yield made


async def page(by: Serving) -> Message:
    return await by.post("a page")


async def settings(by: Serving) -> ServerSettings:
    async with by.services.database.reading() as view:
        return await servers.settings_of(view, by.server.id)


@pytest.mark.parametrize("subject", [*ServerPages.SUBJECTS])
async def test_a_page_replaces_the_one_under_which_it_was_chosen(by: Serving, subject: str) -> None:
    titles = {
        "access": ServerPages.ACCESS_TITLE,
        "budget": ServerPages.BUDGET_TITLE,
        "default": ServerPages.DEFAULT_TITLE,
        "roles": ServerPages.ROLES_TITLE,
        "tiers": ServerPages.TIERS_TITLE,
    }
    message = await page(by)
    made = await by.press(message, "easel:server:page", values=[subject])

    assert made.message is message
    assert message.text().splitlines()[0] == titles[subject]


@pytest.mark.parametrize(
    ("custom_id", "values"),
    [
        ("easel:server:page", []),
        ("easel:server:page", ["none such"]),
        ("easel:server:role", []),
        ("easel:server:role", ["x"]),
        ("easel:server:tier", ["x"]),
        ("easel:server:take:default", ["x"]),
        ("easel:server:take:server", [OTHER]),
    ],
)
async def test_a_choice_of_nothing_is_a_sentence(
    by: Serving, custom_id: str, values: list[str]
) -> None:
    message = await page(by)

    assert told(await by.press(message, custom_id, values=values)) == NOTHING
    assert message.text() == "a page"


async def test_a_tier_is_taken_and_left(by: Serving) -> None:
    message = await page(by)
    await by.press(message, "easel:server:take:default", values=[TIER.upper()])
    assert (await rights(by, Subject.DEFAULT)).tier == TIER
    assert ServerPages.CHANGED in message.text()
    await by.press(message, "easel:server:take:default", values=[OTHER])

    assert (await rights(by, Subject.DEFAULT)).tier is None


async def test_a_role_that_the_server_does_not_have_is_named(by: Serving) -> None:
    role = by.fake.world.add_role(by.server, "painters", 0)
    by.know_server(by.server)
    message = await page(by)
    for custom_id, values in (
        ("easel:server:role", ["5"]),
        ("easel:server:take:role:5", [TIER]),
        ("easel:server:open:amounts:role:5", []),
    ):
        assert told(await by.press(message, custom_id, values=values)).startswith(DELETED)
    marks = marks_of("amounts", {})
    custom_id = f"easel:server:form:amounts:role:5:{marks}"
    assert told(await by.submit(custom_id, message, jobs="3")).startswith(DELETED)
    assert await rights(by, Subject.ROLE, "5") == Rights()

    await by.press(message, "easel:server:role", values=[str(role.id)])
    assert f"<@&{role.id}>" in message.text()
    await by.press(message, f"easel:server:take:role:{role.id}", values=[TIER])
    assert (await rights(by, Subject.ROLE, str(role.id))).tier == TIER


async def test_without_the_servers_roles_none_is_called_deleted(by: Serving) -> None:
    """After a start, the gateway has not sent the server yet."""
    by.client._connection._guilds.clear()
    message = await page(by)
    await by.press(message, "easel:server:take:role:5", values=[TIER])

    assert (await rights(by, Subject.ROLE, "5")).tier == TIER


async def test_only_a_manager_opens_and_submits_forms(by: Serving) -> None:
    ben = by.fake.add_user("Ben")
    message = await page(by)
    marks = marks_of("amounts", {})
    for custom_id, values in (
        ("easel:server:page", ["access"]),
        ("easel:server:role", ["5"]),
        ("easel:server:tier", [TIER]),
        ("easel:server:take:default", [TIER]),
        ("easel:server:open:amounts:default", []),
        (f"easel:server:again:amounts:default:{marks}", []),
        (f"easel:server:reset:{TIER}", []),
        ("easel:server:audit:0", []),
    ):
        made = await by.press(message, custom_id, by=ben, values=values)
        assert "may not manage this server" in told(made), custom_id
        assert made.modal is None
    form = by.interaction(
        MODAL, by=ben, source=message, custom_id=f"easel:server:form:amounts:default:{marks}"
    )
    await handle_interaction(by.received(form))
    assert "may not manage this server" in told(form)
    assert await rights(by, Subject.DEFAULT) == Rights()


async def test_a_form_stores_what_was_changed(by: Serving) -> None:
    message, marks = await page(by), marks_of("amounts", {})
    custom_id = f"easel:server:form:amounts:default:{marks}"
    await by.submit(custom_id, message, jobs=" 3 ", pictures="", amount="5")
    assert ServerPages.CHANGED in message.text()
    found = await rights(by, Subject.DEFAULT)
    assert found.jobs == 3
    assert found.allowance is not None
    assert found.allowance.amount == 5000

    marks = marks_of("amounts", {"jobs": ["3"], "amount": ["5"], "period": ["month"]})
    custom_id = f"easel:server:form:amounts:default:{marks}"
    await by.submit(custom_id, message, jobs="3", amount="5", period=["month"])
    assert ServerPages.UNCHANGED in message.text()


async def test_settings_of_the_server_show_their_page_again(by: Serving) -> None:
    message, marks = await page(by), marks_of("access", {})
    channel = str(by.channel.id)
    await by.submit(f"easel:server:form:access:server:{marks}", message, channels=[channel])

    assert (await settings(by)).channels == {by.channel.id}
    lines = message.text().splitlines()
    assert lines[:2] == [ServerPages.ACCESS_TITLE, ServerPages.CHANGED]


async def test_a_refused_form_is_answered_privately_with_what_was_typed(by: Serving) -> None:
    message, marks = await page(by), marks_of("amounts", {})
    custom_id = f"easel:server:form:amounts:default:{marks}"
    made = await by.submit(custom_id, message, jobs="many")

    assert message.text() == "a page"
    assert "many" in told(made)
    assert made.message is not None
    (again,) = [each for each in made.message.buttons() if each["label"] == ServerPages.OPEN_AGAIN]
    opened = await by.press(made.message, again["custom_id"])
    assert opened.modal is not None
    assert "many" in str(opened.modal)
    assert f":{marks}" in opened.modal["custom_id"]


async def test_a_form_without_a_message_is_answered_privately(by: Serving) -> None:
    marks = marks_of("amounts", {})
    made = await by.submit(f"easel:server:form:amounts:default:{marks}", None, jobs="3")

    assert made.message is not None
    assert made.message.ephemeral_to is by.ada
    assert ServerPages.CHANGED in told(made)


async def test_a_model_is_chosen_by_its_label_and_one_no_longer_on_offer_stays(
    by: Serving,
) -> None:
    spec = by.studio.catalog.get("oxen")
    message, marks = await page(by), marks_of("models", {})
    custom_id = f"easel:server:form:models:default:{marks}"
    await by.submit(custom_id, message, models=[spec.title.upper(), "gone"])

    assert (await rights(by, Subject.DEFAULT)).models == frozenset({"oxen", "gone"})


async def test_a_tier_is_reset(by: Serving) -> None:
    message, marks = await page(by), marks_of("amounts", {})
    before = await rights(by, Subject.TIER, TIER)
    await by.submit(f"easel:server:form:amounts:tier:{TIER}:{marks}", message, jobs="3")
    assert (await rights(by, Subject.TIER, TIER)).jobs == 3
    await by.press(message, f"easel:server:reset:{TIER}")

    assert await rights(by, Subject.TIER, TIER) == before
    assert ServerPages.CHANGED in message.text()


@pytest.mark.parametrize("before", [0, NEWEST, NEWEST + 1, 9 * 10**18])
async def test_the_audit_begins_with_the_newest_change(by: Serving, before: int) -> None:
    message = await page(by)
    await by.press(message, "easel:server:take:default", values=[TIER])
    await by.press(message, f"easel:server:audit:{before}")

    assert TIER in message.text()
    await by.press(message, "easel:server:audit:1")
    assert TIER not in message.text()


async def test_a_channel_for_notices_where_the_bot_cannot_post_is_named(by: Serving) -> None:
    async with by.services.database.transaction() as tx:
        await servers.store_settings(tx, by.server.id, ServerSettings(notices=by.channel.id))
    message = await page(by)
    await by.press(message, "easel:server:page", values=["access"])
    assert ServerPages.NO_POST not in message.text()
    by.fake.set_channel_permissions(by.channel, by.fake.bot_user, deny=SEND_MESSAGES)
    by.know_server(by.server)
    await by.press(message, "easel:server:page", values=["access"])
    assert ServerPages.NO_POST in message.text()


@pytest.mark.parametrize(
    ("lost", "may"), [(0, True), (SEND_MESSAGES, False), (VIEW_CHANNEL, False)]
)
async def test_the_bot_posts_where_it_sees_and_may_write(by: Serving, lost: int, may: bool) -> None:
    by.fake.set_channel_permissions(by.channel, by.fake.bot_user, deny=lost)

    assert _may_post(by.know_server(by.server), by.channel.id) is may
    assert not _may_post(by.know_server(by.server), 5)
    assert _may_post(None, 5)
    unsent = by.know_server(by.server)
    unsent._channels.clear()
    assert _may_post(unsent, 5)
