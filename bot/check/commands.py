"""The commands at Discord, compared with those of this version."""

from bot.check.discord_rest import Application, RequestFailed, Rest
from bot.check.report import Line, ok, warning, wrong
from bot.errors import EaselError
from bot.registration.commands import payload_without_login
from bot.registration.compare import Difference, Json, bulk_update, difference
from bot.registration.task import NOTE
from bot.settings import Settings
from bot.store.backends import inspected
from bot.store.database import read_note

ABOUT = "commands"


async def check_commands(rest: Rest, settings: Settings, *, register: bool) -> list[Line]:
    """Compare, and with `register` send a difference. RequestFailed if the list cannot be read."""
    application = await rest.get("/applications/@me", Application)
    path = f"/applications/{application.id}/commands"
    found = await rest.get(path, list[Json], with_localizations="true")
    wanted = await payload_without_login(user_install=settings.user_install)
    different = difference(wanted, found)
    if not different:
        return [ok(ABOUT, f"Discord has all {len(wanted)} of this version")]
    if not register:
        return [await _reported(different, settings)]
    try:
        await rest.put(path, bulk_update(wanted, found))
    except RequestFailed as error:
        remedy = "Members use the commands that Discord has meanwhile. Try again later."
        return [wrong(ABOUT, f"not registered ({different}): {error}", remedy)]
    return [ok(ABOUT, f"registered ({different})")]


async def _reported(different: Difference, settings: Settings) -> Line:
    if not await _registered_before(settings):
        return ok(ABOUT, "not registered yet: the first `easel run` registers them")
    remedy = "Run easel check --register. A start sends the same commands once a day at most."
    return warning(ABOUT, f"those at Discord differ: {different}", remedy)


async def _registered_before(settings: Settings) -> bool:
    try:
        async with inspected(settings.database_url) as database, database.reading() as view:
            return await read_note(view, NOTE) is not None
    except EaselError:  # reported with the database
        return False
