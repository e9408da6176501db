"""Arguments and completions of `/credits`: amounts, periods, tiers and days."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.errors import UserError
from bot.ledger import CREDIT, credits_text
from bot.pseudonyms import deleted_member, is_pseudonym
from bot.rights import READY_MADE
from bot.studio.credit_rules import NoSuchPeriod
from bot.studio.managers import check_manager
from bot.studio.setting_input import read_amount
from cogs._options import choices
from cogs._replies import locale_of, studio_of
from cogs.delivery.route import member_of
from cogs.ui.credits import job_choice
from cogs.ui.numbers import credits_in
from cogs.ui.wording import CreditsArgument, History

Press = discord.Interaction[Any]
Found = list[app_commands.Choice[str]]
Chosen = TypeVar("Chosen", bound=StrEnum)

GRANTS = (10, 25, 50, 100, 250, 500, 1000)  # credits that are suggested
LIMITS = (50, 100, 200, 500, 1000, 2000, 5000)


def choices_of(values: Iterable[StrEnum]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=each.value, value=each.value) for each in values]


def chosen(kind: type[Chosen], typed: str | None) -> Chosen | None:
    """Return the choice of this value, in any case; NoSuchPeriod for another text."""
    if typed is None:
        return None
    try:
        return kind(typed.strip().casefold())
    except ValueError:
        raise NoSuchPeriod(typed, tuple(each.value for each in kind)) from None


async def complete_grant(interaction: Press, typed: str) -> Found:
    return _amounts(GRANTS, typed, locale_of(interaction))


async def complete_limit(interaction: Press, typed: str) -> Found:
    words = [(name, value) for value, name in CreditsArgument.LIMITS.items()]
    return _amounts(LIMITS, typed, locale_of(interaction)) + choices(words, typed)


async def complete_tier(interaction: Press, typed: str) -> Found:
    return choices([(name, name) for name in READY_MADE], typed)


async def complete_day(interaction: Press, typed: str) -> Found:
    today = studio_of(interaction).now().date()
    days = [(today - timedelta(days=days), label) for days, label in History.DAYS.items()]
    return choices([(f"{day} ({label})", f"{day}") for day, label in days], typed)


async def complete_job(interaction: Press, typed: str) -> Found:
    """Return the newest jobs that can be refunded; none to those who may not refund."""
    manager = member_of(interaction)
    try:
        check_manager(manager)
    except UserError:
        return []
    where, locale = (manager, interaction.channel_id or 0), locale_of(interaction)

    def name_of(user_id: int) -> str:
        if is_pseudonym(user_id):
            return deleted_member(user_id)
        known = interaction.guild.get_member(user_id) if interaction.guild else None
        return known.display_name if known else str(user_id)

    jobs = await studio_of(interaction).credits.refundable(manager)
    return choices([(job_choice(job, *where, name_of, locale), job.id) for job in jobs], typed)


def _amounts(suggested: Iterable[int], typed: str, locale: str) -> Found:
    """Return the amount that was typed, if it is one, else those that begin with the text."""
    found = [each * CREDIT for each in suggested if str(each).startswith(typed.strip())]
    with suppress(UserError):
        found.insert(0, read_amount(typed))
    return [
        app_commands.Choice(name=credits_in(each, locale), value=credits_text(each))
        for each in dict.fromkeys(found)
    ]
