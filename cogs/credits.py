"""/credits: the credits of a server, for those who manage the server."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.observability.logs import bind, hide
from bot.periods import PeriodKind
from bot.quotas import Member
from bot.rights import Subject
from bot.studio import Studio
from bot.studio.credit_reports import Span
from bot.studio.credit_rules import GrantToBot, OneSubject
from bot.studio.credits import LONGEST_REASON
from bot.studio.managers import check_manager
from cogs._credits_input import (
    choices_of,
    chosen,
    complete_day,
    complete_grant,
    complete_job,
    complete_limit,
    complete_tier,
)
from cogs._credits_report import send_report
from cogs._replies import defer, locale_of, reply_privately
from cogs.delivery.member_roles_workaround import role_ids_of
from cogs.delivery.route import member_of
from cogs.ui.credits import (
    allowance_view,
    budget_view,
    grant_view,
    member_view,
    tier_view,
    tiers_view,
)
from cogs.ui.wording import CreditsArgument, CreditsCommand

Press = discord.Interaction[Any]
PERIODS = choices_of(PeriodKind)


@app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.default_permissions(manage_guild=True)
class Credits(commands.GroupCog, group_name="credits", group_description=CreditsCommand.GROUP):
    """Discord offers these commands to managers; the studio checks that once more."""

    tier = app_commands.Group(name="tier", description=CreditsCommand.TIER)

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @app_commands.command(description=CreditsCommand.MEMBER)
    @app_commands.describe(member=CreditsArgument.MEMBER)
    async def member(self, interaction: Press, member: discord.User) -> None:
        manager, of = member_of(interaction), _account_of(interaction, member)
        view = member_view(
            of,
            await self.studio.credits.member(manager, of),
            reader=manager,
            channel_id=interaction.channel_id or 0,
            present=isinstance(member, discord.Member),
            locale=locale_of(interaction),
        )
        await reply_privately(interaction, view)

    @app_commands.command(description=CreditsCommand.GRANT)
    @app_commands.describe(
        member=CreditsArgument.MEMBER,
        amount=CreditsArgument.GRANTED,
        reason=CreditsArgument.REASON,
    )
    @app_commands.autocomplete(amount=complete_grant)
    async def grant(
        self,
        interaction: Press,
        member: discord.User,
        amount: str,
        reason: app_commands.Range[str, 1, LONGEST_REASON] = "",
    ) -> None:
        hide(reason)
        manager = member_of(interaction)
        check_manager(manager)
        if member.bot:
            raise GrantToBot
        given = await self.studio.credits.grant(manager, member.id, amount, reason)
        present = isinstance(member, discord.Member)
        view = grant_view(given, present=present, locale=locale_of(interaction))
        await reply_privately(interaction, view)

    @app_commands.command(description=CreditsCommand.REFUND)
    @app_commands.describe(job=CreditsArgument.JOB)
    @app_commands.autocomplete(job=complete_job)
    async def refund(self, interaction: Press, job: str) -> None:
        job_id = job.strip().lower()
        given = await self.studio.credits.refund(member_of(interaction), job_id)
        bind(job=job_id)
        view = grant_view(given, present=True, locale=locale_of(interaction))
        await reply_privately(interaction, view)

    @app_commands.command(description=CreditsCommand.ALLOWANCE)
    @app_commands.describe(
        amount=CreditsArgument.LIMIT,
        period=CreditsArgument.PERIOD,
        role=CreditsArgument.ROLE,
        member=CreditsArgument.OF_MEMBER,
    )
    @app_commands.autocomplete(amount=complete_limit)
    @app_commands.choices(period=PERIODS)
    async def allowance(
        self,
        interaction: Press,
        amount: str | None = None,
        period: str | None = None,
        role: discord.Role | None = None,
        member: discord.User | None = None,
    ) -> None:
        if role is not None and member is not None:
            raise OneSubject
        subject, name, of = Subject.DEFAULT, "", None
        if role is not None:
            subject, name = Subject.ROLE, str(role.id)
        elif member is not None:
            subject, name, of = Subject.MEMBER, str(member.id), _account_of(interaction, member)
        done = await self.studio.credits.set_allowance(
            member_of(interaction),
            *(subject, name),
            typed=amount,
            period=chosen(PeriodKind, period),
            of=of,
        )
        view = allowance_view(subject, name, done, locale=locale_of(interaction))
        await reply_privately(interaction, view)

    @app_commands.command(description=CreditsCommand.BUDGET)
    @app_commands.describe(amount=CreditsArgument.LIMIT, period=CreditsArgument.PERIOD)
    @app_commands.autocomplete(amount=complete_limit)
    @app_commands.choices(period=PERIODS)
    async def budget(
        self, interaction: Press, amount: str | None = None, period: str | None = None
    ) -> None:
        done = await self.studio.credits.set_budget(
            member_of(interaction), typed=amount, period=chosen(PeriodKind, period)
        )
        await reply_privately(interaction, budget_view(done, locale=locale_of(interaction)))

    @tier.command(name="show", description=CreditsCommand.TIER_SHOW)
    async def show_tiers(self, interaction: Press) -> None:
        tiers = await self.studio.tiers.all(member_of(interaction))
        view = tiers_view(tiers, self.studio.catalog, locale=locale_of(interaction))
        await reply_privately(interaction, view)

    @tier.command(name="take", description=CreditsCommand.TIER_TAKE)
    @app_commands.describe(tier=CreditsArgument.TIER, role=CreditsArgument.TIER_ROLE)
    @app_commands.autocomplete(tier=complete_tier)
    async def take_tier(
        self, interaction: Press, tier: str, role: discord.Role | None = None
    ) -> None:
        role_id = None if role is None else role.id
        done = await self.studio.tiers.take(member_of(interaction), tier, role_id)
        await reply_privately(interaction, tier_view(done, role_id))

    @tier.command(name="drop", description=CreditsCommand.TIER_DROP)
    @app_commands.describe(role=CreditsArgument.TIER_ROLE)
    async def drop_tier(self, interaction: Press, role: discord.Role | None = None) -> None:
        role_id = None if role is None else role.id
        done = await self.studio.tiers.drop(member_of(interaction), role_id)
        await reply_privately(interaction, tier_view(done, role_id))

    @app_commands.command(description=CreditsCommand.REPORT)
    @app_commands.describe(
        period=CreditsArgument.SPAN, since=CreditsArgument.FROM, until=CreditsArgument.TO
    )
    @app_commands.rename(since="from", until="to")
    @app_commands.choices(period=choices_of(Span))
    @app_commands.autocomplete(since=complete_day, until=complete_day)
    async def report(
        self, interaction: Press, period: str | None = None, since: str = "", until: str = ""
    ) -> None:
        manager, span = member_of(interaction), chosen(Span, period)
        check_manager(manager)
        await defer(interaction)
        report = await self.studio.credit_reports.of(manager, span=span, since=since, until=until)
        await send_report(interaction, report, self.studio.catalog, locale_of(interaction))


def _account_of(interaction: Press, user: discord.User | discord.Member) -> Member:
    """Return a member of the server with their roles; one who has left has none."""
    return Member(
        user_id=user.id,
        server_id=member_of(interaction).server_id,
        role_ids=role_ids_of(user),
    )
