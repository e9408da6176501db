"""Routes with an interaction's token: the first response, `@original`, and follow-ups."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bot.sandbox.discord import auto_mod, messages
from bot.sandbox.discord.command_options import STRING, read_choices
from bot.sandbox.discord.interactions import (
    COMMAND,
    COMPONENT,
    MODAL,
    UNKNOWN_INTERACTION,
    Interaction,
    State,
)
from bot.sandbox.discord.mentions import Allowed, read_allowed
from bot.sandbox.discord.message_body import Draft, read_draft
from bot.sandbox.discord.messages import EPHEMERAL, LOADING, REPLY, Message
from bot.sandbox.discord.modals import read_modal
from bot.sandbox.discord.request_body import Form, Json, Problems, Refusal, Unsupported
from bot.sandbox.discord.rest import Call, Reply, Route
from bot.sandbox.discord.world import UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, World

WEBHOOK: Final = "/webhooks/{webhook_id}/{webhook_token}"
ORIGINAL: Final = WEBHOOK + "/messages/@original"
ONE: Final = WEBHOOK + "/messages/{message_id}"
SEND, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 4, 5, 6, 7, 8, 9
CREATE_BITS: Final = messages.SUPPRESS_EMBEDS | messages.SILENT | messages.V2 | messages.EPHEMERAL
EDIT_BITS: Final = messages.SUPPRESS_EMBEDS | messages.V2 | messages.EPHEMERAL

Respond = Callable[[Interaction, Json, Call], Awaitable[None]]


@dataclass
class InteractionRoutes:
    world: World
    token_seconds: float

    def routes(self) -> list[Route]:
        callback = "/interactions/{interaction_id}/{interaction_token}/callback"
        return [
            Route("POST", callback, self.callback, open=True),
            Route("POST", WEBHOOK, self.follow_up, open=True),
            Route("GET", ORIGINAL, self.get, open=True),
            Route("PATCH", ORIGINAL, self.edit, open=True),
            Route("DELETE", ORIGINAL, self.delete, open=True),
            Route("GET", ONE, self.get, open=True),
            Route("PATCH", ONE, self.edit, open=True),
            Route("DELETE", ONE, self.delete, open=True),
        ]

    def _responses(self, interaction: Interaction) -> dict[int, Respond]:
        """Return the allowed responses of an interaction, after the table in Discord's
        documentation."""
        plain: dict[int, Respond] = {SEND: self._send, DEFER: self._defer}
        on_message: dict[int, Respond] = {DEFER_UPDATE: self._leave, UPDATE: self._update}
        if interaction.type == COMMAND:
            return {**plain, SHOW_MODAL: self._show_modal}
        if interaction.type == COMPONENT:
            return {**plain, **on_message, SHOW_MODAL: self._show_modal}
        if interaction.type == MODAL:
            return plain if interaction.source is None else {**plain, **on_message}
        return {CHOICES: self._complete}

    async def callback(self, call: Call) -> Reply:
        interaction = self.world.interactions.get(call.id("interaction_id"))
        if interaction is None or interaction.token != call.path["interaction_token"]:
            raise Refusal(*UNKNOWN_INTERACTION)
        body = call.object()
        problems = Problems()
        form = Form(body, problems)
        form.only({"type", "data"})
        responses = self._responses(interaction)
        if body.get("type") == 12:
            raise Unsupported("launching an activity")
        kind = form.choice("type", responses, required=True)
        data = form.form("data", required=kind in (SEND, UPDATE, CHOICES, SHOW_MODAL))
        problems.settle()
        if interaction.state is not State.PENDING:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        if interaction.overdue:
            raise Refusal(*UNKNOWN_INTERACTION)
        await responses[kind or 0](interaction, data.data if data else {}, call)
        self.world.changes.notify()
        if call.query.get("with_response", "").lower() not in ("1", "true"):
            return Reply(204)
        return Reply(200, _result(interaction))

    async def _send(self, interaction: Interaction, data: Json, call: Call) -> None:
        draft = await self._draft(interaction, data, call, CREATE_BITS)
        interaction.acknowledge({"type": SEND, "data": data})
        interaction.message = self._answer(interaction, draft, interaction.source)

    async def _defer(self, interaction: Interaction, data: Json, _: Call) -> None:
        problems = Problems()
        form = Form(data, problems, ("data",))
        form.only({"flags", "tts", "allowed_mentions"})
        read_allowed(form)
        flags = form.whole("flags", 0, (1 << 31) - 1) or 0
        if flags & ~(EPHEMERAL | messages.SUPPRESS_EMBEDS | messages.SILENT | messages.V2):
            form.wrong("flags", "BITFIELD_TYPE_INVALID", f"{flags} cannot be set here.")
        problems.settle()
        interaction.acknowledge({"type": DEFER, "data": data})
        flags = flags & EPHEMERAL | LOADING
        nothing = Draft("", [], [], [], flags, Allowed())
        interaction.message = self._answer(interaction, nothing, interaction.source)

    async def _leave(self, interaction: Interaction, data: Json, _: Call) -> None:
        interaction.acknowledge({"type": DEFER_UPDATE, "data": data})
        interaction.message = interaction.source

    async def _update(self, interaction: Interaction, data: Json, call: Call) -> None:
        source = interaction.source
        if source is None or source.deleted:
            raise Refusal(*UNKNOWN_MESSAGE)
        draft = await self._draft(interaction, data, call, EDIT_BITS, base=source)
        interaction.acknowledge({"type": UPDATE, "data": data})
        interaction.message = self.world.edit(source, draft)

    async def _complete(self, interaction: Interaction, data: Json, _: Call) -> None:
        problems = Problems()
        form = Form(data, problems, ("data",))
        form.only({"choices"})
        if "choices" not in data:
            form.wrong("choices", "BASE_TYPE_REQUIRED", "This field is required")
        choices = read_choices(form, _focused(interaction.data["options"]) or STRING)
        problems.settle()
        interaction.acknowledge({"type": CHOICES, "data": data})
        interaction.choices = choices

    async def _show_modal(self, interaction: Interaction, data: Json, _: Call) -> None:
        modal = read_modal(data, self.world.ids.next, self.world.emoji)
        interaction.acknowledge({"type": SHOW_MODAL, "data": data})
        interaction.modal = modal

    async def _draft(
        self,
        interaction: Interaction,
        data: Json,
        call: Call,
        bits: int,
        *,
        base: Message | None = None,
    ) -> Draft:
        uploads = await self.world.prepare(
            interaction.channel, call.uploads, interaction.upload_limit
        )
        # only a callback carries the message inside "data"
        path = ("data",) if interaction.state is State.PENDING else ()
        draft = read_draft(
            data,
            uploads,
            self.world.ids.next,
            flags=bits,
            base=base,
            path=path,
            emoji=self.world.emoji,
        )
        ephemeral = bool(draft.flags & EPHEMERAL) or (base is not None and bool(base.ephemeral_to))
        auto_mod.check(interaction.channel, self.world.bot, draft, ephemeral=ephemeral)
        return draft

    def _answer(self, interaction: Interaction, draft: Draft, reply_to: Message | None) -> Message:
        """Create a message in response to the interaction; its channel may be gone by now."""
        if interaction.channel.deleted:
            raise Refusal(*UNKNOWN_CHANNEL)
        message = self.world.new_message(interaction.channel, self.world.bot)
        message.interaction = interaction
        message.reference = reply_to
        if interaction.type == COMMAND and reply_to is None:
            message.type = 20 if interaction.data["type"] == 1 else 23
        elif reply_to is not None:
            message.type = REPLY
        if interaction.only_private:
            draft.flags |= EPHEMERAL
        if draft.flags & EPHEMERAL:
            message.ephemeral_to = interaction.user
        return self.world.create(message, draft)

    def _interaction(self, call: Call) -> Interaction:
        """Return the interaction of a webhook token that is still valid."""
        token = call.path["webhook_token"]
        if call.id("webhook_id") != self.world.application_id:
            raise Refusal(404, 10015, "Unknown Webhook")
        for interaction in self.world.interactions.values():
            if interaction.token == token:
                interaction.check_token(token, self.world.clock, self.token_seconds)
                return interaction
        raise Refusal(401, 50027, "Invalid Webhook Token")

    def _message(self, call: Call, interaction: Interaction) -> Message:
        if "message_id" not in call.path:
            message = interaction.message
        else:
            wanted = call.id("message_id")
            own = [interaction.message, *interaction.followups]
            message = next((one for one in own if one and one.id == wanted), None)
        if message is None or message.deleted:
            raise Refusal(*UNKNOWN_MESSAGE)
        return message

    async def get(self, call: Call) -> Reply:
        return Reply(200, self._message(call, self._interaction(call)).to_json())

    async def edit(self, call: Call) -> Reply:
        interaction = self._interaction(call)
        message = self._message(call, interaction)
        draft = await self._draft(interaction, call.object(), call, EDIT_BITS, base=message)
        return Reply(200, self._edit(interaction, message, draft).to_json())

    def _edit(self, interaction: Interaction, message: Message, draft: Draft) -> Message:
        if message is interaction.message and interaction.state is State.DEFERRED:
            interaction.state = State.ANSWERED
        return self.world.edit(message, draft)

    async def delete(self, call: Call) -> Reply:
        interaction = self._interaction(call)
        message = self._message(call, interaction)
        if message is interaction.message and interaction.state is State.DEFERRED:
            interaction.state = State.ANSWERED
        self.world.delete(message)
        return Reply(204)

    async def follow_up(self, call: Call) -> Reply:
        interaction = self._interaction(call)
        loading = interaction.message
        if interaction.state is State.DEFERRED and loading is not None and loading.loading:
            # the first follow-up edits the loading message and ignores its own ephemeral flag
            draft = await self._draft(interaction, call.object(), call, CREATE_BITS, base=loading)
            return Reply(200, self._edit(interaction, loading, draft).to_json())
        interaction.check_followup()
        draft = await self._draft(interaction, call.object(), call, CREATE_BITS)
        message = self._answer(interaction, draft, interaction.message)
        interaction.followups.append(message)
        return Reply(200, message.to_json())


def _focused(options: list[Json]) -> int | None:
    """Return the type of the option that a member is typing."""
    for option in options:
        if option.get("focused"):
            return int(option["type"])
        if inner := _focused(option.get("options", [])):
            return inner
    return None


def _result(interaction: Interaction) -> Json:
    """Return the response to a callback with `with_response`.

    Types 5, 6, 8 and 9 have no resource (docs/internals/discord.md, The stand-in).
    """
    response = interaction.response or {}
    shown: Json = {
        "id": str(interaction.id),
        "type": interaction.type,
        "channel_id": str(interaction.channel.id),
    }
    if interaction.channel.guild:
        shown["guild_id"] = str(interaction.channel.guild.id)
    message = interaction.message
    if message is not None:
        shown |= {
            "response_message_id": str(message.id),
            "response_message_loading": message.loading,
            "response_message_ephemeral": message.ephemeral_to is not None,
        }
    result: Json = {"interaction": shown}
    if response.get("type") in (SEND, UPDATE) and message is not None:
        result["resource"] = {"type": response["type"], "message": message.to_json()}
    return result
