"""Notice another program that runs with the same token and another database.

Discord sends each interaction to both, so both would draw and charge.
"""

import logging
import re
from collections import OrderedDict
from datetime import datetime, timedelta

from bot.clock import ClockWatch, Now

log = logging.getLogger(__name__)

CALLBACK = re.compile(r".*/interactions/(\d+)/[^/]+/callback")
REMEMBERED = 1000  # interactions
QUIET = timedelta(minutes=10)  # between two lines of the log
CLOCKS = timedelta(minutes=1)  # by which clocks may differ, and a stopping program goes on


class CopyWatch:
    """Evidence of a second copy, since the start of this run.

    With `shared`, other programs of this installation work on the same database, and one may hold
    the same shard during a restart: a reply that another program sent is no evidence then.
    """

    def __init__(self, now: Now, clock: ClockWatch, *, shared: bool = False) -> None:
        self.last_seen: datetime | None = None
        self._now = now
        self._clock = clock
        self._shared = shared
        self._started = now()
        self._logged: datetime | None = None
        self._attempts: OrderedDict[int, int] = OrderedDict()

    def count_attempt(self, path: str) -> None:
        """Count a request of this program, if it replies to an interaction."""
        matched = CALLBACK.fullmatch(path)
        if matched is None:
            return
        interaction = int(matched[1])
        self._attempts[interaction] = self._attempts.pop(interaction, 0) + 1
        if len(self._attempts) > REMEMBERED:
            self._attempts.popitem(last=False)

    def replied_elsewhere(self, interaction_id: int) -> bool:
        """Return whether another program replied to an interaction that has a reply already.

        A second attempt of this program proves nothing: the first may have arrived, as after a
        5xx that discord.py repeats, or Discord has sent the interaction twice.
        """
        if self._attempts.get(interaction_id) != 1:
            return False
        if not self._shared:
            self._see("a reply to a command that this program has not sent")
        return True

    def met_unknown_job(self, posted: datetime) -> None:
        """Note a message of the bot with a button of a job that is not in the database.

        With a restored backup, such messages are older than this run. Only a newer one was posted
        by another program, because this run stores a job before its message is posted.
        """
        error = self._clock.own_ahead or timedelta(0)
        if posted > self._started - error + CLOCKS:
            self._see("a button of a job that is not in the database, on a new message")

    def _see(self, evidence: str) -> None:
        self.last_seen = now = self._now()
        if self._logged is None or now - self._logged >= QUIET:
            self._logged = now
            log.error(
                "another program uses this bot's token, with another database; members may be "
                "charged twice: found %s",
                evidence,
            )
