"""Links to the messages of jobs, for those who may see them."""

from dataclasses import replace

from bot.delivery import Receipt
from bot.jobs import Attachment, Job
from bot.providers.oxen.model import oxen_spec
from cogs.ui.links import message_link, result_link
from cogs.ui.result import result_view
from tests.support.rows import NOW
from tests.support.views import DONE, texts_of, uploads

SPEC = oxen_spec(price=7500)
LINK = "https://discord.com/channels"


def test_a_link_leads_to_the_channel_of_the_message() -> None:
    assert result_link(DONE) == f"{LINK}/10/20/50"
    assert result_link(replace(DONE, result_message_id=None)) is None
    assert result_link(replace(DONE, result_channel_id=0)) is None
    assert result_link(replace(DONE, result_channel_id=99)) == f"{LINK}/@me/99/50"
    thread = replace(DONE, route=replace(DONE.route, parent_id=21), result_channel_id=21)
    assert result_link(thread) == f"{LINK}/10/21/50"
    direct = replace(DONE.route, guild_id=None, account_server_id=0)
    assert result_link(replace(DONE, route=direct)) == f"{LINK}/@me/20/50"


def test_a_link_names_the_server_of_the_channel_else_that_of_the_account() -> None:
    elsewhere = replace(DONE.route, guild_id=11, account_server_id=0)
    assert message_link(replace(DONE, route=elsewhere), 20, 7) == f"{LINK}/11/20/7"
    old = replace(DONE.route, guild_id=None)
    assert message_link(replace(DONE, route=old), 20, 7) == f"{LINK}/10/20/7"


def test_a_result_names_its_source_to_those_who_may_see_it() -> None:
    source = replace(DONE, id="b" * 16, user_id=2)
    inputs = (Attachment("a.png", ""),)
    made = f"made from [a picture]({LINK}/10/20/50) by <@2>"

    def origin(source: Job | None, *, private: bool = False, parent_id: int | None = None) -> str:
        route = replace(DONE.route, private=private, parent_id=parent_id)
        job = replace(DONE, source=source, inputs=inputs, route=route)
        view = result_view(job, SPEC, uploads(1), Receipt(), missing=0)
        return texts_of(view)[-1].split(" · ")[2]

    assert origin(source) == made
    assert origin(None) == "from 1 picture"
    assert origin(replace(source, result_message_id=None, delivered_at=None)) == "from 1 picture"
    assert origin(replace(source, result_channel_id=21)) == "from 1 picture"
    assert origin(replace(source, hidden_at=NOW)) == "from 1 picture"
    in_parent = replace(source, result_channel_id=21, route=replace(DONE.route, channel_id=21))
    assert origin(in_parent, parent_id=21) == made.replace("/20/", "/21/")
    # Of the requester's own source in another channel, only the requester reads.
    own = replace(in_parent, user_id=1)
    assert origin(own) == "from 1 picture"
    assert origin(own, private=True).endswith("/10/21/50) by <@1>")
    assert origin(in_parent, private=True) == "from 1 picture"
