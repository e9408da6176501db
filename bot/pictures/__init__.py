"""Pictures: downloaded with limits, recognised by their bytes, stored once, shrunk for posts.

Everybody imports from here. Only download.py makes requests for pictures, to hosts that
addresses.py allows, and only objects.py those to a bucket; only decoder_process.py decodes, only
marks/ writes metadata, and only retention.py knows the rows.
"""

from bot.pictures.addresses import DiscordMedia, HostPort, ends_before
from bot.pictures.attempts import Attempts
from bot.pictures.decoder import Decoder, NotDecoded
from bot.pictures.download import Downloader
from bot.pictures.erasures import removal_note, removed_in
from bot.pictures.files import FileStore
from bot.pictures.header import NotAPicture, measure, sniff
from bot.pictures.inputs import InputPictures, InputRefused, Intake
from bot.pictures.location import open_store
from bot.pictures.marks import (
    Mark,
    Recipe,
    Unmarkable,
    mark_of,
    marked_pieces,
    pieces_of,
    recipe_in,
)
from bot.pictures.reduced import ReducedCopies
from bot.pictures.retention import Retention, RetentionPolicy
from bot.pictures.store import PictureStore, PicturesUnavailable, Staged, StoreAway

__all__ = [
    "Attempts",
    "Decoder",
    "DiscordMedia",
    "Downloader",
    "FileStore",
    "HostPort",
    "InputPictures",
    "InputRefused",
    "Intake",
    "Mark",
    "NotAPicture",
    "NotDecoded",
    "PictureStore",
    "PicturesUnavailable",
    "Recipe",
    "ReducedCopies",
    "Retention",
    "RetentionPolicy",
    "Staged",
    "StoreAway",
    "Unmarkable",
    "ends_before",
    "mark_of",
    "marked_pieces",
    "measure",
    "open_store",
    "pieces_of",
    "recipe_in",
    "removal_note",
    "removed_in",
    "sniff",
]
