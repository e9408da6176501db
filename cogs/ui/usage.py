"""The reply to /usage: sums, the models, and the chart of the last days."""

from collections.abc import Iterator
from datetime import date

from discord import ui

from bot.catalog import Catalog
from bot.ledger import Usage
from bot.periods import DEFAULT_ZONE
from bot.studio.usage import DAYS, Report
from cogs.ui import wording
from cogs.ui.numbers import credits_in
from cogs.ui.panel import gallery, panel
from cogs.ui.wording import plural

CHART = "easel-usage.png"  # the name of the uploaded file
MODELS = 10  # that are listed


def usage_view(
    report: Report, catalog: Catalog, locale: str, *, chart: bool = False, failed: bool = False
) -> ui.LayoutView:
    """Return the reply; with `chart`, the file CHART is uploaded with it.

    `failed` is true if there is no chart of credits that were used. `locale` is Discord's name of
    the member's language.
    """
    text = wording.Usage
    here, month = report.here, report.month
    parts: list[str | ui.Item[ui.LayoutView]] = []
    if here is not None:
        parts += _sums(text.HERE[report.kind], here, report.zone, locale)
    if here is None or month.allowance is not None:
        parts += _sums(text.MONTH, month, DEFAULT_ZONE, locale)
    heading = text.LAST_DAYS_ANYWHERE if here is None else text.LAST_DAYS
    lines = [*_models(report, catalog, locale)] or [text.NOTHING]
    parts.append("\n".join([heading.format(days=DAYS), *lines]))
    if chart:
        parts += gallery(alt_text(report, locale), [CHART])
    if failed:
        parts.append(text.CHART_FAILED)
    return panel(*parts, text.COSTS)


def alt_text(report: Report, locale: str) -> str:
    """Return the words for the chart: the sum and the dearest day."""
    days = report.days
    highest, most = max(days, key=lambda each: each[1])
    return wording.Usage.ALT_TEXT.format(
        credits=credits_in(sum(amount for _, amount in days), locale),
        first=_date(days[0][0]),
        last=_date(days[-1][0]),
        highest=_date(highest),
        most=credits_in(most, locale),
    )


def _sums(title: str, usage: Usage, zone: str, locale: str) -> Iterator[str]:
    """Yield the sums of a period, and when the period ends."""
    text = wording.Usage
    lines = [title, _left(usage, locale)]
    if usage.granted:
        lines.append(text.GRANTS.format(credits=credits_in(usage.granted, locale)))
    if usage.allowance is not None:
        lines.append(text.ALLOWANCE.format(credits=credits_in(usage.allowance, locale)))
    lines.append(text.USED.format(credits=credits_in(usage.used, locale)))
    lines.append(text.HELD.format(credits=credits_in(usage.held, locale)))
    if usage.reserved_until is not None:
        until = int(usage.reserved_until.timestamp())
        reserved = credits_in(usage.reserved, locale)
        lines.append(text.RESERVED.format(credits=reserved, until=until))
    lines.append(text.PICTURES.format(pictures=usage.pictures, jobs=usage.jobs))
    yield "\n".join(lines)
    if usage.allowance != 0:  # of nothing, nothing is renewed
        yield text.RESET.format(resets=int(usage.resets_at.timestamp()), zone=zone)


def _left(usage: Usage, locale: str) -> str:
    text = wording.Usage
    if usage.left is None:
        return text.NO_LIMIT
    if usage.left < 0:
        return text.BELOW_ZERO.format(credits=credits_in(-usage.left, locale))
    return text.LEFT.format(credits=credits_in(usage.left, locale))


def _models(report: Report, catalog: Catalog, locale: str) -> Iterator[str]:
    text = wording.Usage
    for each in report.models[:MODELS]:
        yield text.MODEL.format(
            model=catalog.about(each.model).title,
            credits=credits_in(each.used, locale),
            pictures=plural(wording.Fact.PICTURES, each.pictures),
            jobs=plural(text.JOBS, each.jobs),
        )
    if others := report.models[MODELS:]:
        used = sum(each.used for each in others)
        yield text.OTHER_MODELS.format(credits=credits_in(used, locale))


def _date(day: date) -> str:
    return wording.Usage.DAY.format(day=day.day, month=f"{day:%B}")
