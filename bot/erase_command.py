"""`easel data delete`: request the deletion of a member who cannot use Discord any more."""

from bot.backoff import utc_now
from bot.errors import NotNow, StartupError
from bot.pictures import PicturesUnavailable, open_store
from bot.pseudonym_key import CHANGED, key_of, note_key, problem_of
from bot.pseudonyms import Pseudonyms
from bot.settings import Settings
from bot.store import erasure_requests
from bot.store.backends import inspected


async def request_deletion(settings: Settings, user_id: int, *, with_results: bool) -> str:
    """Store the request, and return what happens next. StartupError.

    The bot deletes the data, now or at its next start: only the bot reaches Discord, and a SQLite
    file belongs to one process.
    """
    key = key_of(settings)
    try:
        async with inspected(settings.database_url) as database:
            async with database.reading() as view:
                problem = await problem_of(settings, view, open_store(settings), key)
                newest = await erasure_requests.newest_job(view, user_id)
                now = max(utc_now(), newest or utc_now())  # the bot may have another clock
                known = await erasure_requests.has_data(view, user_id, now)
                known |= await erasure_requests.is_named(view, user_id)
            if problem or key is None:
                raise StartupError(problem or "Start Easel once: it makes the key of pseudonyms.")
            if not known:
                return f"nothing is stored about user {user_id}"
            async with database.transaction() as tx:
                if not await note_key(tx, Pseudonyms(key)):
                    raise StartupError(CHANGED.format(where="The key of pseudonyms"))
                found = await erasure_requests.request(tx, user_id, now, with_results=with_results)
    except PicturesUnavailable:
        raise StartupError("The stored pictures cannot be reached now. Try again.") from None
    except NotNow:
        raise StartupError("The database cannot be used at the moment. Try again.") from None
    return (
        f"user {user_id}: {found.total} jobs and all else will be deleted by the bot, most of it "
        "at once, the rest within two days; if no bot runs, after its next start"
    )
