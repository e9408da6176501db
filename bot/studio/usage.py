"""The use of credits that `/usage` shows: the periods of now, the models and the last days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from bot.ledger import Account, Usage
from bot.periods import Period, PeriodKind
from bot.quotas import Member
from bot.services import Services
from bot.store import ledger, servers, usage
from bot.store.usage import ModelUse

DAYS = 30


@dataclass(frozen=True, slots=True)
class Report:
    """A member's use of credits, in thousandths.

    `here` is the use of the account in the server where the member asks, in the current period of
    the allowance, of the length `kind`; None in direct messages. `month` is that of all servers
    (UTC). `models` and `days` are of the last DAYS days by the time zone `zone`, in the server, or
    in all servers.
    """

    month: Usage
    here: Usage | None
    kind: PeriodKind
    zone: str
    models: Sequence[ModelUse]
    days: Sequence[tuple[date, int]]

    @property
    def is_empty(self) -> bool:
        """True if no credit was used on any of the days."""
        return not any(amount for _, amount in self.days)


class UsageReports:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def of(self, member: Member) -> Report:
        """Return the use of a member's own account, and of the month (UTC) over all servers."""
        services, server_id = self._services, member.server_id
        now = services.now()
        async with services.database.reading() as view:
            month = await ledger.usage_of(view, member.user_id, now, services.quotas.allowance)
            policy = await servers.policy_of(view, member)
            allowance, here = policy.rights.allowance, None
            if server_id:
                account, zones = Account(member.user_id, server_id), policy.settings.zones
                here = await ledger.account_usage(view, account, allowance, zones, now)
            days = usage.last_days(DAYS, policy.settings.zone, now)
            whose = (member.user_id, server_id or None)
            period = Period(days[0].period.begin, days[-1].period.end)
            return Report(
                month=month,
                here=here,
                kind=PeriodKind.MONTH if allowance is None else allowance.period,
                zone=policy.settings.zone,
                models=await usage.by_model(view, *whose, period),
                days=await usage.by_day(view, *whose, days),
            )
