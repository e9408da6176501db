"""The store of pictures that PICTURES_URL names."""

from bot.check.report import Line, ok, wrong
from bot.database_address import is_postgres
from bot.errors import StartupError
from bot.settings import Settings

PICTURES = "pictures"


async def check_pictures(settings: Settings) -> list[Line]:
    """Write, list, read and delete a small object."""
    if settings.pictures_url is None and not is_postgres(settings.database_url):
        return []
    from bot.pictures import open_store  # only where used: it imports SQLAlchemy

    try:
        await open_store(settings).probe()
    except StartupError as error:
        problem, _, remedy = str(error).partition(". ")
        return [wrong(PICTURES, problem, remedy)]
    return [ok(PICTURES, f"{settings.pictures_url} can be read and written")]
