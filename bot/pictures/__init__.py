"""Pictures: downloaded with limits, told by their bytes, kept once, shrunk where they must be."""

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
