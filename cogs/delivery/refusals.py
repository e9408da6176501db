"""Permanent refusals of a destination: another shape of the message, or the next destination."""

import logging

from cogs.delivery.error_codes import Meaning
from cogs.delivery.errors import hidden_by, message_of
from cogs.delivery.fallback import Attempts, DestinationName
from cogs.delivery.messages import Message
from cogs.ui.wording import Refusal

log = logging.getLogger(__name__)

# As members read them, if no destination takes the result.
REFUSALS = {
    DestinationName.CHANNEL: Refusal.CHANNEL,
    DestinationName.REPLY: Refusal.REPLY,
    DestinationName.FOLLOW_UP: Refusal.FOLLOW_UP,
    DestinationName.PARENT_CHANNEL: Refusal.PARENT_CHANNEL,
    DestinationName.DIRECT_MESSAGE: Refusal.DIRECT_MESSAGE,
}


class TooLarge(Exception):
    """Discord accepts less than its documented limit, as after earlier changes of the limits."""


class Filtered(Exception):
    """Discord refuses the prompt's words: the message is sent without them."""


class Refused(Exception):
    """Discord refuses this destination permanently; the text is for the member."""


def permanent(
    name: DestinationName, message: Message, error: Exception, meaning: Meaning, attempts: Attempts
) -> TooLarge | Filtered | Refused:
    """Return the exception for a permanent failure of a destination."""
    # A smaller upload is not refused for its size.
    if meaning is Meaning.SMALLER and message.uploads.largest > 16 * 1024:
        return TooLarge()
    if meaning is Meaning.HIDE_PROMPT and not message.hidden:
        attempts.instead = hidden_by(error)
        return Filtered()
    if meaning in {Meaning.TEXT, Meaning.SMALLER, Meaning.HIDE_PROMPT}:
        attempts.text_accepted.add(name)
    log.info("destination %s refused: %s", name, error)
    return Refused(REFUSALS[name].format(answer=message_of(error)))
