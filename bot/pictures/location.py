"""Open the store of pictures that PICTURES_URL names."""

from bot.database_address import is_postgres
from bot.errors import StartupError
from bot.picture_folder import local_folder
from bot.pictures.bucket import BucketStore
from bot.pictures.bucket_access import open_objects
from bot.pictures.files import FileStore
from bot.pictures.store import PictureStore
from bot.settings import Settings


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
