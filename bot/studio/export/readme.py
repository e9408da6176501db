"""The texts in the ZIP files of an export, for the member who reads them."""

from enum import StrEnum

README = """\
Your data in Easel
==================

This is everything that the bot has stored about you, as of {day} (UTC). Your id at
Discord is {user_id}.

If there are several ZIP files, they belong together: unpack them into one folder. Each
can be opened alone.

Files whose names end with .jsonl hold one JSON object in each line, for programs. Those
that end with .csv hold the same as a table: import them into a spreadsheet with all ids
as text, because spreadsheets round long numbers. A cell that a spreadsheet would take
for a formula begins with an apostrophe. A large table is divided, as in requests-1.csv
and requests-2.csv. A table without a line is left out. Times are in UTC, and amounts
are credits.

member.json
    Your id, your choices in this bot (such as that of /my notify), and a deletion of
    your data that you have requested and that has not ended.

requests
    One line for each of your requests, newest first: the prompt (also the longer one
    that a service has drawn), the options, the model, the times, the price and the cost,
    the outcome (status, reason, remark), the ids of server, channel and messages, the
    names and addresses of the pictures that you gave, the pictures that were stored
    (with their files here), and the ids of the work at the service that drew.

pictures/
    The pictures that are still stored, those that you gave and those that were made.
    The name of a file is the SHA-256 of its content; "pictures" in a request names the
    files. A picture of several requests is here once.

ledger
    Your credits: each amount that was held, released, charged, granted or corrected.
    "granted" is the part that grants give or pay. "counted_at" is the time of the
    request, which decides in which period the amount counts.

favourites
    The jobs that you have made your favourites.

rights
    What the managers of servers have set for you alone, such as an allowance.

changes
    Settings of servers that you have changed, and changes by managers of your own rights
    and credits. Other members are not named.

warnings
    Since when the bot has told you that most of your allowance was used, in a server, or
    in all servers together.

stopped
    Jobs of other members that you have stopped as a moderator.

taken
    Pictures in messages of yours that other members have edited, where the operator
    allows that, with the times of their requests and the files here.

left-out
    Pictures of your requests that are in none of the files, each with the reason.
"""


class Missing(StrEnum):
    """Why a picture, or a text, is in none of the files."""

    GONE = "no longer stored: files of pictures are removed after a time"
    FOREIGN = "another member made this picture, or used it first"
    TOO_LARGE = (
        "larger than a file may be here: use /show, press More, then Originals; or ask the "
        "operator of the bot for a whole export"
    )
    TOO_MANY = (
        "one export has a limited number of files, and takes the newest pictures first: ask the "
        "operator of the bot for a whole export (easel data export)"
    )
    NOT_LISTED = "further pictures, which are too many for this list"
