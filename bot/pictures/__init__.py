"""Pictures: downloaded with limits, recognised by their bytes, stored once, shrunk for posts.

The studio and the worker import from here; `shrink` is for cogs/delivery. Only download.py makes
requests, and only retention.py knows the database.
"""

from bot.pictures.download import Downloader
from bot.pictures.files import PictureStore
from bot.pictures.header import NotAPicture, measure, sniff
from bot.pictures.inputs import InputPictures, InputRefused
from bot.pictures.shrink import shrink

__all__ = [
    "Downloader",
    "InputPictures",
    "InputRefused",
    "NotAPicture",
    "PictureStore",
    "measure",
    "shrink",
    "sniff",
]
