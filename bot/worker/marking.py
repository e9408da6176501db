"""Marker: marks results as AI-generated before they are stored, so that stored bytes are posted."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

from bot.errors import ProviderError
from bot.jobs import Job
from bot.pictures import Mark, Staged, Unmarkable, mark_of, marked_pieces, pieces_of
from bot.services import Services

log = logging.getLogger(__name__)


class Marker:
    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._with_recipe = services.embed_recipe
        self._pictures = services.pictures

    async def staged(self, path: Path, job: Job) -> Staged:
        """Copy a result with the mark of its job; unchanged if there is no place for one.

        Raises ProviderError(MALFORMED) if the file is not a picture.
        """
        title = self._catalog.about(job.request.model).title
        return await asyncio.to_thread(self._staged, path, job, title)

    def _staged(self, path: Path, job: Job, title: str) -> Staged:
        try:
            mark = mark_of(job, title, with_recipe=self._with_recipe)
            return self._pictures.write_copy(path, _marked(path, mark))
        except (ProviderError, OSError):
            raise
        except Unmarkable as error:
            log.warning("picture stored without a mark as AI-generated: %s", error)
        except Exception:  # a picture that is paid for is stored all the same
            log.exception("picture stored without a mark as AI-generated, by an unexpected error")
        return self._pictures.write_copy(path, pieces_of(path))


def _marked(path: Path, mark: Mark) -> Iterable[bytes]:
    """Yield the parts of a marked file. A generator: the file is judged before it is marked."""
    yield from marked_pieces(path, mark)
