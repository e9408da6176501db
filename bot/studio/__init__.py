"""The use cases: everything that members can request, one module for each subject.

The cogs hold a Studio and import the errors from here. Every refusal is a UserError, raised before
anything is stored. Nothing in this package knows Discord.
"""

from collections.abc import Callable

from bot.services import Services
from bot.studio.balances import BalanceLine, Balances
from bot.studio.credit_reports import CreditReports
from bot.studio.credits import ServerCredits
from bot.studio.erasure import Erasures
from bot.studio.export import Exports
from bot.studio.history import Histories
from bot.studio.jobs import (
    CannotCancel,
    JobSettled,
    MemberJobs,
    NoSuchJob,
    NotYourJob,
)
from bot.studio.menu import Menus
from bot.studio.preferences import Preferences
from bot.studio.recipes import Recipes
from bot.studio.requests import AlreadyRequested, PictureRequest, Requests, Restarting
from bot.studio.results import Results
from bot.studio.servers import Servers
from bot.studio.tiers import Tiers
from bot.studio.usage import UsageReports

__all__ = [
    "AlreadyRequested",
    "BalanceLine",
    "CannotCancel",
    "JobSettled",
    "NoSuchJob",
    "NotYourJob",
    "PictureRequest",
    "Restarting",
    "Studio",
]


class Studio:
    """The object that every cog holds."""

    def __init__(self, services: Services, wake: Callable[[], None]) -> None:
        """`wake` is called after a change of rows that concerns the worker."""
        self.catalog = services.catalog
        self.check_member = services.quotas.check_member
        self.check_edit = services.quotas.check_edit
        self.health = services.health
        self.now = services.now
        self.copies = services.copies
        self.policies = services.policies
        self.precedence = services.precedence
        self.requests = Requests(services, wake)
        self.reduced = services.reduced
        self.jobs = MemberJobs(services)
        self.results = Results(services)
        self.recipes = Recipes(services)
        self.histories = Histories(services)
        self.erasures = Erasures(services)
        self.menus = Menus(services)
        self.usage = UsageReports(services)
        self.preferences = Preferences(services)
        self.balances = Balances(services)
        self.credits = ServerCredits(services)
        self.tiers = Tiers(services)
        self.credit_reports = CreditReports(services)
        self.servers = Servers(services)
        self.exports = Exports(services)

    def close(self) -> None:
        """Refuse new requests: the program is about to end."""
        self.requests.close()
