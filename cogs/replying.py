"""Edit by replying: a reply to a result requests a change of the picture.

In servers, the text of the reply has to mention the bot: Discord pings the author of a message that
is replied to, and a mere "nice!" must not buy a picture. In direct messages every reply counts.
Messages that were sent while the bot was down are not made up for.
"""

import logging
import re
from collections import Counter
from typing import Any

import discord
from discord.ext import commands

from bot.errors import NotNow, UserError
from bot.jobs import JOB_ID_PATTERN, Job
from bot.observability.logs import bind, hide
from bot.quotas import Member, MemberBlocked, ServerNotAllowed, may_see
from bot.studio import AlreadyRequested, PictureRequest, Studio
from bot.studio.results import Draft
from cogs._notes import Notes, Refused
from cogs._notices import post_notices
from cogs._permissions import may_use
from cogs._replies import REPLY_TIMEOUT, UNKNOWN_OUTCOME, UNREADABLE
from cogs._results import address_of
from cogs._warnings import warn_author
from cogs.delivery.attachments import attachment_of, pictures_in
from cogs.delivery.errors import hiding_prompt, is_transient
from cogs.delivery.lookup import carries
from cogs.delivery.route import author_of, lacking_for_reply, route_of_reply
from cogs.delivery.timeouts import within
from cogs.ui import wording
from cogs.ui.status import status_view
from cogs.ui.wording import plural

log = logging.getLogger(__name__)

AT_ONCE = 3  # replies of one member that are being read
IN_ALL = 100  # of all members: others are read when those have ended
NUMBERED = re.compile(r"(\d{1,3}):(?:\s+(.*))?", re.DOTALL)  # not a shape, such as 16:9
FILE = re.compile(rf"easel-(?P<job>{JOB_ID_PATTERN})-\d+\..*")
SEND = frozenset({"View Channels", "Send Messages", "Send Messages in Threads"})


class Replying(commands.Cog):
    """The replies to results that a client receives."""

    def __init__(self, studio: Studio, client: commands.Bot | commands.AutoShardedBot) -> None:
        self.studio = studio
        self.client = client
        self._reading: Counter[int] = Counter()  # by the member
        self._notes = Notes(client, lambda: self.studio.now())

    async def cog_unload(self) -> None:
        await self._notes.close()

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Make a job of a reply to a result, or say shortly why there is none."""
        text = self._text_of(message)
        if text is None or self._reading.total() >= IN_ALL:
            return
        bind(reply=message.id)
        hide(text)
        member = message.author.id
        if self._reading[member] >= AT_ONCE:
            await self._notes.send(message, wording.Replying.TOO_FAST)
            return
        self._reading[member] += 1
        try:
            await self._answer(message, text)
        except UserError as error:
            await self._notes.refuse(message, error)
        except Exception:
            if self.client.is_closed():  # no connection is left for an answer
                log.info("reply %s ended with the shutdown", message.id)
                return
            log.exception("reply %s failed", message.id)
            await self._notes.send(message, wording.BUG)
        finally:
            self._reading[member] -= 1
            self._reading += Counter()  # without those that are zero

    def _text_of(self, message: discord.Message) -> str | None:
        """Return the text of a reply that may be a request, without the mention; None for others.

        A webhook or a bot requests nothing. In direct messages, the mention is not necessary.
        """
        user = self.client.user
        if message.author.bot or message.webhook_id is not None or user is None:
            return None
        if message.type is not discord.MessageType.reply or message.reference is None:
            return None
        text, mentions = re.subn(rf"<@!?{user.id}>", " ", message.content)
        if not mentions and message.guild is not None:
            return None
        return text.strip()

    async def _answer(self, message: discord.Message, text: str) -> None:
        member = author_of(message)
        try:
            self.studio.check_member(member)
        except (MemberBlocked, ServerNotAllowed):
            return  # whoever is not served gets no answer either
        source = await self._source_of(message, member)
        if source is None:
            return
        draft = await self._draft_of(message, member, source, text)
        received = self.studio.now()
        notify = await self.studio.preferences.notify_of(member.user_id)
        route = route_of_reply(
            message, self.client, received, private=source.route.private, notify=notify
        )
        request = PictureRequest(
            message.id, draft.prompt, draft.options, draft.inputs, draft.model, source.id
        )
        try:
            held = await self.studio.requests.create(member, route, request)
        except AlreadyRequested:
            log.warning("reply %s arrived twice: its job exists already", message.id)
            return
        bind(job=held.job.id)
        try:
            if await self._show(message, held.job):
                await warn_author(self.client, message, held)
        finally:  # each warning is given once, also if the status message was refused
            await post_notices(self.client, held)

    async def _source_of(self, message: discord.Message, member: Member) -> Job | None:
        """Return the job of the result that a message replies to; None if nobody asked the bot.

        Raises Refused for another message of the bot.
        """
        reference = message.reference
        if reference is None or reference.message_id is None:
            return None
        if source := await self.studio.results.of_message(reference.message_id):
            return source
        replied, user = reference.resolved, self.client.user
        asked = user is not None and user.id in message.raw_mentions
        unknown = isinstance(replied, discord.DeletedReferencedMessage)
        if isinstance(replied, discord.Message) and replied.author == user:
            unknown = True
            source = await self._just_posted(replied, member)
        if source is None and asked and unknown:
            raise Refused(wording.Replying.NO_RESULT)
        return source

    async def _just_posted(self, result: discord.Message, member: Member) -> Job | None:
        """Return the job of a result whose message is not stored yet, by the names of its files."""
        names = [FILE.fullmatch(each.name) for each in pictures_in(result)]
        if not names or names[0] is None:
            return None
        source = await self.studio.results.seen(member, result.channel.id, names[0]["job"])
        return source if carries(result, source) else None

    async def _draft_of(
        self, message: discord.Message, member: Member, source: Job, text: str
    ) -> Draft:
        """Return the request that a reply makes, if this member may make it here."""
        lacking = lacking_for_reply(message)
        if SEND & set(lacking):
            raise Refused("")  # nothing can be said here
        await self._check_may_edit(message, member, source)
        if lacking:
            permissions = ", ".join(lacking)
            raise Refused(wording.Replying.CANNOT_POST.format(permissions=permissions))
        pictures = await self.studio.results.pictures(source)
        number, instruction = next(iter(pictures)), text
        if match := NUMBERED.fullmatch(text):
            number, instruction = int(match[1]), (match[2] or "").strip()
        if not instruction:
            raise Refused(wording.Replying.NO_INSTRUCTION)
        if number not in pictures:
            raise Refused(plural(wording.Replying.WRONG_NUMBER, len(pictures)))
        replied = message.reference.resolved if message.reference else None
        shown = replied if isinstance(replied, discord.Message) else None
        picture = pictures[number]
        return self.studio.results.edit(
            source,
            picture,
            instruction,
            number=number,
            url=address_of(shown, picture, number),
            references=[attachment_of(each) for each in message.attachments],
        )

    async def _check_may_edit(self, message: discord.Message, member: Member, source: Job) -> None:
        """Raise Refused, with a sentence that names no rule, or PermissionsUnread."""
        here = message.channel
        deleted = isinstance(
            message.reference and message.reference.resolved, discord.DeletedReferencedMessage
        )
        alone = source.route.private and message.guild is not None
        if deleted or alone or source.hidden_at or not may_see(member, here.id, source):
            raise Refused(wording.Replying.NEUTRAL)
        if not await may_use(self.client, message.guild, here, message.author, "edit"):
            raise Refused(wording.Replying.NEUTRAL)

    async def _show(self, message: discord.Message, job: Job) -> bool:
        """Post the status message, then confirm or withdraw the job by the outcome.

        Return whether the status message has surely arrived.
        If that outcome is unknown or cannot be stored, the worker searches the channel later.
        """
        studio = self.studio
        spec, down = studio.catalog.about(job.request.model), studio.health.has_outage(job.provider)
        try:
            sent = await hiding_prompt(
                job, lambda each: self._send(message, job, status_view(each, spec, down=down))
            )
        except (*UNKNOWN_OUTCOME, *UNREADABLE) as error:
            log.warning("outcome of a reply unknown, will look it up: %r", error)
            return False
        except (discord.HTTPException, discord.RateLimited) as error:
            if isinstance(error, discord.HTTPException) and is_transient(error):
                log.warning("outcome of a reply unknown, will look it up: %r", error)
                return False
            log.info("status message refused, job withdrawn: %s", error)
            await self._store(studio.requests.withdraw(job.id))
            return False
        await self._store(studio.requests.confirm(job.id, sent.id))
        return True

    async def _send(
        self, message: discord.Message, job: Job, view: discord.ui.LayoutView
    ) -> discord.Message:
        async with within(self.client, REPLY_TIMEOUT):
            return await message.channel.send(
                view=view,
                reference=message.to_reference(fail_if_not_exists=False),
                nonce=f"{job.id}-status",
                allowed_mentions=discord.AllowedMentions.none(),
            )

    async def _store(self, outcome: Any) -> None:  # noqa: ANN401
        try:
            await outcome
        except NotNow:
            log.warning("could not store the outcome of a reply, will look it up")
