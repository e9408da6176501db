"""Open the store of pictures that PICTURES_URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bot.errors import StartupError
from bot.pictures.bucket import BucketStore
from bot.pictures.bucket_access import open_objects
from bot.pictures.files import FileStore
from bot.pictures.store import PictureStore
from bot.settings import Settings
from bot.store.postgres import is_postgres
from bot.store.sqlite import database_path

DATA = Path("data")  # for temporary files, beside which no database of this machine is


def open_store(settings: Settings) -> PictureStore:
    """Return the store of PICTURES_URL, by default files beside the database. StartupError.

    Nothing is requested or written yet.
    """
    url, shared = settings.pictures_url, is_postgres(settings.database_url)
    if url is None:
        if shared:
            raise StartupError(
                "PICTURES_URL is not set. Set it to a bucket, or to a folder that all processes "
                "have."
            )
        return FileStore(local_folder(settings))
    if url.startswith("file:"):
        return FileStore(local_folder(settings), shared=shared)
    return BucketStore(open_objects(url), local_folder(settings))


def local_folder(settings: Settings) -> Path:
    """Return the folder of this machine for pictures, or for those on their way to a bucket."""
    url = settings.pictures_url
    if url is not None and url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    shared = is_postgres(settings.database_url)
    beside = DATA if shared else database_path(settings.database_url).parent
    return beside / ("pictures" if url is None else "staging")
