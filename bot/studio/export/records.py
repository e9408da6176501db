"""The records of an export: rows as members read them, in credits and with ids as text.

Many programs read a number of JSON with 53 bits. A column that is added to a table is exported,
unless `bot.store.exporting` hides it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.data_export import Record
from bot.jobs import Picture, PictureKind
from bot.ledger import credits_text
from bot.pictures.store import name_of
from bot.pseudonyms import MENTIONED_ID
from bot.store.exporting import StoredRow

FOLDER = "pictures"
AMOUNTS = frozenset({"price", "cost", "granted", "allowance", "amount"})  # columns, in thousandths
OF_INPUT = ("name", "url", "size", "width", "height")  # of an attachment
OF_PICTURE = ("role", "position", "size", "width", "height")
OF_GENERATION = ("provider", "remote_id", "state")
ANOTHER = "another member"


def requests(
    rows: Iterable[StoredRow],
    pictures: Iterable[StoredRow],
    generations: Iterable[StoredRow],
) -> list[Record]:
    """Return jobs with their pictures, and with the ids of the work at the services."""
    shown, made = by_job(pictures), by_job(generations)
    return [
        {
            **_plain(row),
            "canceled_by_moderator": bool(row["canceled_by_moderator"]),
            "inputs": _inputs(row["inputs"], shown[row["id"]]),
            "pictures": [_picture(each) for each in shown[row["id"]]],
            "generations": [
                {name: each[name] for name in OF_GENERATION} for each in made[row["id"]]
            ],
        }
        for row in rows
    ]


def plain_records(rows: Iterable[StoredRow]) -> list[Record]:
    """Return ledger entries, or favourites."""
    return [_plain(row) for row in rows]


def rights(rows: Iterable[StoredRow]) -> list[Record]:
    """Return the rights that servers have set for the member; allowances are in credits."""
    return [{**_plain(row), "rights": _in_credits(row["rights"])} for row in rows]


def changes(rows: Iterable[StoredRow], user_id: int) -> list[Record]:
    """Return changes of servers' settings, by the member or of the member; no other is named."""
    own = f"<@{user_id}>"

    def unnamed(text: str) -> str:
        return MENTIONED_ID.sub(lambda found: own if found[0] == own else ANOTHER, text)

    return [
        {
            "created_at": row["created_at"],
            "server_id": str(row["server_id"]),
            "by_you": bool(row["by_you"]),
            **{name: unnamed(row[name]) for name in ("subject", "before", "after")},
        }
        for row in rows
    ]


def warnings(rows: Iterable[StoredRow]) -> list[Record]:
    """Return when the member was told that most of an allowance, or of the month's, was used."""
    return [
        {
            "begins_at": row["begins_at"],
            # As bot.store.holds names the scopes: member:<server>:<user>, and month:<user>.
            "server_id": row["scope"].split(":")[1] if row["scope"].startswith("member:") else None,
        }
        for row in rows
    ]


def stopped(rows: Iterable[StoredRow]) -> list[Record]:
    """Return the jobs of others that the member has stopped as a moderator."""
    return [{"job_id": row["id"], "stopped_at": row["cancel_requested_at"]} for row in rows]


def taken(rows: Iterable[StoredRow]) -> list[Record]:
    """Return the pictures that others have taken from the member's messages, and when."""
    return [
        {
            "created_at": row["created_at"],
            **{name: row[name] for name in ("size", "width", "height")},
            "file": file_of(picture_of(row)),
        }
        for row in rows
    ]


def by_job(rows: Iterable[StoredRow]) -> Mapping[str, Sequence[StoredRow]]:
    """Return rows by the jobs that they belong to; none for any other job."""
    found: defaultdict[str, list[StoredRow]] = defaultdict(list)
    for row in rows:
        found[row["job_id"]].append(row)
    return found


def file_of(picture: Picture) -> str:
    """Return the name of a picture in the ZIP files."""
    return f"{FOLDER}/{name_of(picture)}"


def picture_of(row: StoredRow) -> Picture:
    kind = PictureKind(row["kind"])
    return Picture(row["sha256"], kind, row["size"], row["width"], row["height"])


def _inputs(inputs: Sequence[Mapping[str, Any]], pictures: Sequence[StoredRow]) -> list[Record]:
    """Return the attachments of a job. Of another member's, only the number is said."""
    foreign = {each["position"] for each in pictures if each["role"] == "input" and each["foreign"]}
    return [
        {
            name: None if position in foreign or each.get("author_id") else each.get(name)
            for name in OF_INPUT
        }
        for position, each in enumerate(inputs)
    ]


def _picture(row: StoredRow) -> Record:
    """Return a picture of a job. Of another member's, only the number is said."""
    if row["foreign"]:
        return {"role": row["role"], "position": row["position"], "file": None}
    return {**{name: row[name] for name in OF_PICTURE}, "file": file_of(picture_of(row))}


def _plain(row: Mapping[str, Any]) -> dict[str, object]:
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if name in AMOUNTS:
            return Decimal(credits_text(value))
        if name.endswith("_id"):
            return str(value)
    return value


def _in_credits(stored: Mapping[str, Any]) -> Record:
    allowance = stored.get("allowance")
    return stored if allowance is None else {**stored, "allowance": _plain(allowance)}
