"""The worker with its parts and the steps of a turn in public, for tests of a single step."""

from datetime import datetime

from bot.services import Services
from bot.worker.worker import Worker


class OpenWorker(Worker):
    """The worker itself: nothing behaves differently."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.services = services
        self.deliverer = self._deliverer
        self.deliveries = self._deliveries
        self.downloads = self._downloads
        self.edits = self._edits
        self.housekeeping = self._housekeeping
        self.poller = self._poller
        self.streams = self._streams
        self.submits = self._submits
        self.tasks = self._tasks
        self.woken = self._wake
        # The steps.
        self.turn, self.pause = self._turn, self._pause
        self.claim, self.submit, self.submit_slots = self._claim, self._submit, self._submit_slots
        self.probe, self.ping, self.poll, self.lost = (
            self._probe,
            self._ping,
            self._poll,
            self._lost,
        )
        self.follow_stream, self.idle = self._follow_stream, self._idle
        self.start_downloads, self.store_inputs = self._start_downloads, self._store_inputs
        self.next_row_at = self._next_row_at

    @property
    def rows_changed(self) -> bool:
        return self._rows_changed

    @rows_changed.setter
    def rows_changed(self, changed: bool) -> None:
        self._rows_changed = changed

    @property
    def next_row(self) -> datetime | None:
        return self._next_row

    @next_row.setter
    def next_row(self, at: datetime | None) -> None:
        self._next_row = at
