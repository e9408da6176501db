"""Studio: the use cases of one running Easel, by subject."""

from collections.abc import Callable

from bot.services import Services
from bot.studio.jobs import MemberJobs
from bot.studio.requests import Requests
from bot.studio.usage import UsageReports


class Studio:
    """The object that every cog holds."""

    def __init__(self, services: Services, wake: Callable[[], None]) -> None:
        """`wake` is called after a change of rows that concerns the worker."""
        self.catalog = services.catalog
        self.health = services.health
        self.requests = Requests(services, wake)
        self.jobs = MemberJobs(services, wake)
        self.usage = UsageReports(services)

    def close(self) -> None:
        """Refuse new requests: the program is about to end."""
        self.requests.close()
