"""The open forms of the message menu *Edit image*: in memory, for an hour.

The addresses of a message's pictures do not fit into the custom_id of a form. A member may close a
form without a word to the bot, so each member has one at most, the newest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.jobs import Attachment

FORM_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MenuForm:
    """The pictures that a form changes. If they are `private`, the job is private too."""

    custom_id: str
    pictures: Sequence[Attachment]
    private: bool


class MenuForms:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._forms: dict[int, tuple[MenuForm, datetime]] = {}  # by the member's id

    def __len__(self) -> int:
        return len(self._forms)

    def add(self, member_id: int, form: MenuForm) -> None:
        """Remember a form that is about to open, and forget the member's earlier one."""
        now = self._now()
        for expired in [key for key, (_, end) in self._forms.items() if end <= now]:
            del self._forms[expired]
        self._forms[member_id] = form, now + FORM_LIFE

    def take(self, member_id: int, custom_id: str) -> MenuForm | None:
        """Return and forget the form, if it is the member's newest and an hour has not passed."""
        form, end = self._forms.get(member_id, (None, None))
        if form is None or end is None or end <= self._now() or form.custom_id != custom_id:
            return None
        del self._forms[member_id]
        return form

    def put_back(self, member_id: int, form: MenuForm) -> None:
        """Remember a form whose submit was refused: the member may submit it again."""
        if member_id not in self._forms:  # no newer one
            self.add(member_id, form)
