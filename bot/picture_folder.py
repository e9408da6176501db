"""The folder of pictures on this machine, by the settings alone."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bot.database_address import database_path, is_postgres
from bot.settings import Settings

DATA = Path("data")  # for temporary files, beside which no database of this machine is


def local_folder(settings: Settings) -> Path:
    """Return the folder of this machine for pictures, or for those on their way to a bucket."""
    url = settings.pictures_url
    if url is not None and url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    shared = is_postgres(settings.database_url)
    beside = DATA if shared else database_path(settings.database_url).parent
    return beside / ("pictures" if url is None else "staging")
