"""HTTP headers that several clients send or read."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot import package_version

USER_AGENT = f"Easel/{package_version('easel')}"


def parse_retry_after(
    value: str | None, *, longest: float = 3600.0, date: str | None = None
) -> float | None:
    """Return the seconds of a Retry-After header, at most `longest`.

    The header is a number of seconds or an HTTP date. None if the header is absent or cannot be
    read as either. `date` is the answer's own Date header: an HTTP date counts from there, because
    this machine's clock may be wrong.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return min(float(text), longest)
    moment = _moment(text)
    if moment is None:
        return None
    seconds = (moment - (_moment(date or "") or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), longest)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
