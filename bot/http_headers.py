"""HTTP headers that several clients send or read."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot import package_version

USER_AGENT = f"Easel/{package_version('easel')}"


def parse_retry_after(value: str | None, *, longest: float = 3600.0) -> float | None:
    """Return the seconds of a Retry-After header, at most `longest`.

    The header is a number of seconds or an HTTP date. None if the header is absent or cannot be
    read as either.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return min(float(text), longest)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), longest)
