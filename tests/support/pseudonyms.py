"""Rows of members under their pseudonyms, as a deletion leaves them."""

from pydantic import SecretStr
from sqlalchemy import delete, select, update

from bot.pseudonyms import Pseudonyms
from bot.rights import Subject
from bot.store.database import Database
from bot.store.tables import job_pictures, jobs, ledger, rights

KEY = Pseudonyms(SecretStr("the key of the tests, which is long"))


async def pseudonymise(database: Database, user_id: int = 1) -> int:
    """Replace a member's id where rows stay after a deletion; return the pseudonym.

    The database finds such rows from now on.
    """
    database.use_pseudonyms(KEY)
    pseudonym = KEY.of(user_id)
    of_member = (rights.c.subject == Subject.MEMBER, rights.c.name == str(user_id))
    async with database.transaction() as tx:
        for table in (jobs, ledger):
            own = table.c.user_id == user_id
            await tx.execute(update(table).where(own).values(user_id=pseudonym))
        erased = select(jobs.c.id).where(jobs.c.user_id == pseudonym)
        await tx.execute(delete(job_pictures).where(job_pictures.c.job_id.in_(erased)))
        await tx.execute(update(rights).where(*of_member).values(name=str(pseudonym)))
    return pseudonym
