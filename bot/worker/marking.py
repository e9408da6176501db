"""Marker: marks results as AI-generated before they are stored, so that stored bytes are posted."""

import asyncio
import logging

from bot.jobs import Job
from bot.pictures import Unmarkable, mark_of, marked, sniff
from bot.services import Services

log = logging.getLogger(__name__)


class Marker:
    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._with_recipe = services.embed_recipe
        self._turn = asyncio.Lock()  # one copy of a picture at a time, beside those in flight

    async def marked(self, data: bytes, job: Job) -> bytes:
        """Return a result with the mark of its job; unchanged if there is no place for one."""
        if sniff(data) is None:  # the store refuses the bytes
            return data
        title = self._catalog.about(job.request.model).title
        try:
            async with self._turn:
                mark = mark_of(job, title, with_recipe=self._with_recipe)
                return await asyncio.to_thread(marked, data, mark)
        except Unmarkable as error:
            log.warning("picture stored without a mark as AI-generated: %s", error)
        except Exception:  # a picture that is paid for is stored all the same
            log.exception("picture stored without a mark as AI-generated, by an unexpected error")
        return data
