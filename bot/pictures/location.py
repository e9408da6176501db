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
    is_alone = not is_postgres(settings.database_url)  # one process, by the database's lock
    url = settings.pictures_url
    if url is None:
        if not is_alone:
            raise StartupError(
                "PICTURES_URL is not set. Set it to a bucket, or to a folder that all processes "
                "have."
            )
        return FileStore(database_path(settings.database_url).parent / "pictures")
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FileStore(Path(unquote(parts.path)), shared=not is_alone)
    return BucketStore(open_objects(url), staging_folder(settings))


def staging_folder(settings: Settings) -> Path:
    """Return the folder of this machine for temporary files, if the pictures are in a bucket."""
    if is_postgres(settings.database_url):
        return DATA / "staging"
    return database_path(settings.database_url).parent / "staging"
