"""One interaction of a member with the application, from dispatch to the last follow-up."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from bot.sandbox.discord import permissions
from bot.sandbox.discord.changes import Changes
from bot.sandbox.discord.messages import Message
from bot.sandbox.discord.models import MIB, Channel, User
from bot.sandbox.discord.request_body import Json, Refusal

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
GUEST_FOLLOWUPS: Final = 5  # limit of an app that only the user installed
UNKNOWN_INTERACTION: Final = (404, 10062, "Unknown interaction")


class State(Enum):
    """The progress of a first response. `DEFERRED`: type 5, with "thinking" still shown."""

    PENDING = "pending"
    DEFERRED = "deferred"
    ANSWERED = "answered"


@dataclass(eq=False)
class Interaction:
    """An interaction with everything that was sent in response.

    `response` is the callback's type and data; `message` the target of `@original`;
    `acknowledged_after` the seconds from dispatch to callback.
    """

    id: int
    type: int
    user: User
    channel: Channel
    application_id: int
    data: Json
    created_at: float
    changes: Changes
    response_seconds: float
    guest: bool = False  # the user installed the app, the server did not
    # the message of the button, of the select, or of the button that opened the modal
    source: Message | None = None
    parent: "Interaction | None" = None  # the interaction that opened this modal
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: State = State.PENDING
    response: Json | None = None
    message: Message | None = None
    modal: Json | None = None
    choices: list[Json] | None = None
    followups: list[Message] = field(default_factory=list)
    acknowledged_after: float | None = None
    dispatched: float = field(default_factory=time.perf_counter)

    @property
    def name(self) -> str:
        return str(self.data.get("name", ""))

    @property
    def overdue(self) -> bool:
        """Return whether the time for a first response is over."""
        return time.perf_counter() - self.dispatched > self.response_seconds

    def acknowledge(self, response: Json) -> None:
        """Accept the first response, once and in time."""
        if self.state is not State.PENDING:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        if self.overdue:
            raise Refusal(*UNKNOWN_INTERACTION)
        self.acknowledged_after = time.perf_counter() - self.dispatched
        self.response = response
        self.state = State.DEFERRED if response["type"] == 5 else State.ANSWERED

    async def answered(self, timeout: float | None = None) -> "Interaction":
        """Wait for the first response.

        Raise TimeoutError, as the member would see, if no response arrives within `timeout` seconds
        or within Discord's own limit.
        """
        left = self.response_seconds - (time.perf_counter() - self.dispatched)
        await self.changes.until(
            lambda: self.response,
            max(0.0, left if timeout is None else min(timeout, left)),
            f"The application did not respond (to {self.name or self.data.get('custom_id')})",
        )
        return self

    @property
    def owners(self) -> Json:
        """Return `authorizing_integration_owners`: the installs that brought the app here."""
        if self.guest:
            return {"1": str(self.user.id)}
        return {"0": str(self.channel.guild.id) if self.channel.guild else "0"}

    @property
    def only_private(self) -> bool:
        """Return whether Discord makes every response ephemeral: the app is the member's own, and
        the member may not use external apps here."""
        granted = self.channel.permissions_of(self.user)
        return self.guest and not granted & permissions.USE_EXTERNAL_APPS

    @property
    def upload_limit(self) -> int:
        """Return the largest file of a response: by the member's client, or by the server."""
        return max(self.user.upload_limit, 10 * MIB if self.guest else self.channel.upload_limit)

    def origin(self, message: Message) -> Json:
        """Return the reference that a message carries to the interaction it answers."""
        metadata = self.metadata()
        if self.message is not None and self.message is not message:
            metadata["original_response_message_id"] = str(self.message.id)  # of follow-ups alone
        shown: Json = {
            "webhook_id": str(self.application_id),
            "application_id": str(self.application_id),
            "interaction_metadata": metadata,
        }
        if self.type == COMMAND:
            shown["interaction"] = {
                "id": str(self.id),
                "type": self.type,
                "name": self.name,
                "user": self.user.to_json(),
            }
        return shown

    def metadata(self) -> Json:
        shown: Json = {
            "id": str(self.id),
            "type": self.type,
            "user": self.user.to_json(),
            "authorizing_integration_owners": self.owners,
        }
        if self.type == COMMAND:
            shown |= {"name": self.name, "command_type": self.data["type"]}
            if self.data["type"] == 2:
                shown["target_user"] = self.data["resolved"]["users"][self.data["target_id"]]
            elif self.data["type"] == 3:
                shown["target_message_id"] = self.data["target_id"]
        elif self.type == COMPONENT and self.source is not None:
            shown["interacted_message_id"] = str(self.source.id)
        elif self.type == MODAL and self.parent is not None:
            shown["triggering_interaction_metadata"] = self.parent.metadata()
        return shown

    def payload(self) -> Json:
        """Return the data of INTERACTION_CREATE."""
        guild = self.channel.guild
        shown: Json = {
            "id": str(self.id),
            "application_id": str(self.application_id),
            "type": self.type,
            "token": self.token,
            "version": 1,
            "data": self.data,
            "channel_id": str(self.channel.id),
            "channel": self._channel_json(),
            "app_permissions": str(self._app_permissions()),
            "locale": self.user.locale,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": self.owners,
            "context": self.channel.context,
            "attachment_size_limit": self.upload_limit,
        }
        if guild is None:
            shown["user"] = self.user.to_json()
        else:
            member = guild.members[self.user.id].to_json()
            granted = str(self.channel.permissions_of(self.user))
            shown |= {
                "guild_id": str(guild.id),
                "guild_locale": guild.locale,
                "guild": guild.partial(),
                "member": {**member, "permissions": granted},
            }
        if self.source is not None:
            shown["message"] = self.source.to_json()
        return shown

    def _channel_json(self) -> Json:
        if self.channel.guild is None:
            return self.channel.to_json()
        granted = str(self.channel.permissions_of(self.user))
        return {**self.channel.to_json(), "permissions": granted}

    def _app_permissions(self) -> int:
        guild = self.channel.guild
        if guild is None or not guild.bot_present:
            return permissions.GUEST
        return self.channel.bot_permissions()

    def check_token(self, token: str, clock: Callable[[], float], token_seconds: float) -> None:
        """Check the token of a webhook route: correct, not expired, and used after a response."""
        if not secrets.compare_digest(self.token.encode(), token.encode()):
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if clock() - self.created_at >= token_seconds:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        if self.state is State.PENDING or self.type == AUTOCOMPLETE:
            raise Refusal(404, 10015, "Unknown Webhook")

    def check_followup(self) -> None:
        if self.guest and len(self.followups) >= GUEST_FOLLOWUPS:
            raise Refusal(
                400,
                40094,
                "This interaction has reached its maximum number of follow up messages",
            )
