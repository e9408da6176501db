"""The operator's commands for the ledger: `easel ledger …`, also beside a running bot.

The commands import the settings and the database, so that others do without.
"""

import asyncio
import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from bot.backoff import utc_now
from bot.csv_cells import harmless
from bot.errors import NotNow, OutcomeUnknown, StartupError
from bot.jobs import plain
from bot.ledger import CREDIT, Account, Charges, LedgerEntry, credits_text
from bot.pseudonyms import without_mentions
from bot.rights import MOST_CREDITS

if TYPE_CHECKING:
    from bot.store.audit import Verification
    from bot.store.database import Database

ledger_cli = typer.Typer(help="Inspect the ledger of credits.", no_args_is_help=True)

LARGEST_ID = 2**63 - 1
LONGEST_REASON = 200
COLUMNS = (
    *("id", "created_at", "counted_at", "user_id", "server_id", "kind", "amount", "granted"),
    *("provider", "job_id", "reason", "details"),
)


class Format(StrEnum):
    """The formats of an export."""

    CSV = "csv"
    JSONL = "jsonl"


@ledger_cli.command()
def verify(
    former_rate: Annotated[
        list[str] | None,
        typer.Option(help="A former CREDITS_PER_USD, if changed. May be repeated."),
    ] = None,
) -> None:
    """Audit the ledger and everything that belongs to its entries; exit code 1 for a finding."""
    from bot.config import Config

    config = Config.load()
    try:
        rates = [Decimal(each) for each in former_rate or ()]
    except InvalidOperation:
        raise StartupError("--former-rate takes a number, e.g. --former-rate 100.") from None
    found = asyncio.run(_verify(config.core.database_url, config.charges(rates)))
    for finding in found.findings:
        typer.echo(str(finding))
    typer.echo(found.summary)
    raise SystemExit(bool(found.findings))


async def _verify(url: str, charges: Charges) -> "Verification":
    from bot.store.audit import verify as verify_ledger
    from bot.store.backends import inspected

    async with inspected(url) as database, database.reading() as view:
        return await verify_ledger(view, charges)


@ledger_cli.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="The file to write; without it, standard output.")
    ] = None,
    as_format: Annotated[Format, typer.Option("--format", help="csv or jsonl.")] = Format.CSV,
) -> None:
    """Write every entry of the ledger, oldest first. Amounts are credits."""
    from bot.settings import Settings

    url = Settings.load().database_url
    with _written(file) as out:
        count = asyncio.run(_export(url, WRITERS[as_format](out)))
    typer.echo(f"{count} entries", err=True)


async def _export(url: str, write: Callable[[int, LedgerEntry], None]) -> int:
    """Write all entries, and return their number. OSError if one cannot be written."""
    from bot.store import ledger as entries

    count, failed = 0, None
    async with _opened(url) as database, database.reading() as view:
        async for number, entry in entries.all_entries(view):
            try:
                write(number, entry)
            except OSError as error:  # to be raised outside: it is none of the database
                failed = error
                break
            count += 1
    if failed is not None:
        raise failed
    return count


def csv_writer(out: TextIO) -> Callable[[int, LedgerEntry], None]:
    """Return a function that writes an entry as a row; the names of the columns are the first."""
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    return lambda number, entry: rows.writerow(_harmless(_values(number, entry)))


def jsonl_writer(out: TextIO) -> Callable[[int, LedgerEntry], None]:
    """Return a function that writes an entry as a JSON object on a line of its own.

    Ids are text there: many programs read a number of JSON with 53 bits.
    """

    def write(number: int, entry: LedgerEntry) -> None:
        values = dict(zip(COLUMNS, _values(number, entry), strict=True))
        texts = {name: str(values[name]) for name in ("user_id", "server_id")}
        exact = {name: float(str(values[name])) for name in ("amount", "granted")}
        # A float's shortest text has the thousandths of 10^12 credits exactly.
        given = {**values, **texts, **exact, "job_id": entry.job_id, "details": {**entry.details}}
        out.write(json.dumps(given, ensure_ascii=False) + "\n")

    return write


WRITERS = {Format.CSV: csv_writer, Format.JSONL: jsonl_writer}


def _values(number: int, entry: LedgerEntry) -> list[object]:
    """Return the values of COLUMNS; amounts are decimals in credits."""
    return [
        number,
        entry.created_at.isoformat(),
        entry.counted_at.isoformat(),
        entry.account.user_id,
        entry.account.server_id,
        str(entry.kind),
        Decimal(credits_text(entry.amount)),
        Decimal(credits_text(entry.granted)),
        entry.provider,
        entry.job_id or "",
        entry.reason,
        json.dumps(dict(entry.details), ensure_ascii=False) if entry.details else "",
    ]


def _harmless(values: list[object]) -> Iterator[object]:
    """Yield the cells of a row: numbers as they are, and no text that a spreadsheet calculates."""
    for value in values:
        if isinstance(value, Decimal):
            yield f"{value:f}"
        else:
            yield harmless(value) if isinstance(value, str) else value


@contextmanager
def _written(file: Path | None) -> Iterator[TextIO]:
    """Yield the file, which is complete or absent afterwards, or standard output.

    StartupError if the file exists or cannot be written. The reader of standard output may end
    early, as `head` does.
    """
    if file is None:
        try:
            yield sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        return
    if file.exists():
        raise StartupError(f"{file} exists already. Name a file that does not.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as out:
            yield out
        unfinished.replace(file)
    except OSError as error:
        raise StartupError(f"The export to {file} failed: {error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction of an account by the operator; the amount is in thousandths of a credit."""

    account: Account
    amount: int
    reason: str

    @classmethod
    def parse(cls, user: str, amount: str, server: str, reason: str) -> "Adjustment":
        """Return the adjustment that the arguments describe; StartupError for a wrong one."""
        account = Account(_user(user), id_of("--server", server))
        reason = without_mentions(" ".join(plain(reason).split()))
        if not reason:
            raise StartupError("--reason is empty. Say why the account is corrected.")
        if len(reason) > LONGEST_REASON:
            raise StartupError(f"--reason is longer than {LONGEST_REASON} characters. Shorten it.")
        return cls(account, _amount(amount), reason)


@ledger_cli.command(context_settings={"ignore_unknown_options": True})  # AMOUNT may begin with -
def adjust(
    user: Annotated[
        str,
        typer.Argument(
            help="The member's id, or the negative one of a deleted member in the export; "
            "0 for losses that nobody owes."
        ),
    ],
    amount: Annotated[str, typer.Argument(help="Credits to add, or with a minus to take.")],
    server: Annotated[
        str, typer.Option(help="The id of the account's server; 0 for direct messages.")
    ],
    reason: Annotated[str, typer.Option(help="Why; the ledger stores it.")],
) -> None:
    """Correct an account by an entry of its own: entries are never edited."""
    from bot.settings import Settings

    adjustment = Adjustment.parse(user, amount, server, reason)
    asyncio.run(_adjust(Settings.load().database_url, adjustment))
    account, credits = adjustment.account, credits_text(adjustment.amount)
    typer.echo(f"user {account.user_id}, server {account.server_id}: adjusted by {credits} credits")


async def _adjust(url: str, adjustment: Adjustment) -> None:
    from bot.store import settlement
    from bot.store.dialects import lock_quotas

    async with _opened(url) as database, database.transaction() as tx:
        await lock_quotas(tx)
        await settlement.correct_account(
            tx, adjustment.account, adjustment.amount, utc_now(), reason=adjustment.reason
        )


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator["Database"]:
    """Yield the database of this version; StartupError for what makes it unusable."""
    from bot.store.backends import inspected

    try:
        async with inspected(url) as database:
            yield database
    except OutcomeUnknown:
        raise StartupError(
            "The database did not confirm the entry. Look for it with `easel ledger export`."
        ) from None
    except NotNow:
        raise StartupError("The database cannot be used at the moment. Try again.") from None


def _user(value: str) -> int:
    """Return the id of a member, or a pseudonym, which is negative."""
    number = id_of("USER", value.removeprefix("-"))
    return -number if value.startswith("-") else number


def id_of(name: str, value: str) -> int:
    """Return the id of Discord in an argument; StartupError, which names it, for another text."""
    if value.isascii() and value.isdecimal() and len(value) < 20 and int(value) <= LARGEST_ID:
        return int(value)
    raise StartupError(f"{name} takes an id of Discord, e.g. 80351110224678912.")


def _amount(value: str) -> int:
    most = MOST_CREDITS // CREDIT
    problem = f"AMOUNT takes credits, e.g. 12.5 or -12.5, with three decimals and {most:,} at most."
    try:
        thousandths = Decimal(value) * CREDIT
    except ArithmeticError:  # no number, or one that is beyond all
        raise StartupError(problem) from None
    if not thousandths.is_finite() or abs(thousandths) > MOST_CREDITS or thousandths % 1:
        raise StartupError(problem)
    if not thousandths:
        raise StartupError("AMOUNT is 0: there is nothing to correct.")
    return int(thousandths)
