"""Results that members continue to work with: repeated, changed, or edited.

Whoever does that is the requester of the new job, and pays. What is made from a private result is
private.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.catalog import Flag, ModelSpec
from bot.errors import UserError
from bot.jobs import Attachment, GenerationRequest, Job, Option, Picture
from bot.pictures.store import PicturesUnavailable, name_of
from bot.quotas import Member, PictureOrigin, may_see
from bot.services import Services
from bot.store import jobs, pictures
from bot.store.pictures import Role

log = logging.getLogger(__name__)

SAME_PICTURE = 25  # jobs whose result has the same bytes
FIND_TIMEOUT = 1.2  # seconds: the member waits for a form or a reply, and Discord for 3 s
SHAPES = ("aspect_ratio", "image_size", "match_input_image")  # options of which one sets the shape


class ResultUnavailable(UserError):
    def __init__(self) -> None:
        super().__init__(
            "This result is private, was deleted, or is unknown here. "
            "Request a picture with /imagine."
        )


class PicturesRemoved(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The pictures of this job are no longer stored. Use /edit with a copy of the picture."
        )


class NoPictures(UserError):
    def __init__(self) -> None:
        super().__init__("This job has no pictures. Use /edit with a picture.")


class PromptRemoved(UserError):
    def __init__(self) -> None:
        super().__init__(
            "The prompt of this job is no longer stored. Press Edit under the result to change the "
            "picture, or write a new prompt with /imagine."
        )


class ModelGone(UserError):
    def __init__(self, model: str) -> None:
        super().__init__(
            "The model {model} is no longer on offer. Use Remix, or a command with another model.",
            model=model,
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A request that begins with a job. `model` is None if Easel chooses."""

    source: Job
    prompt: str
    options: Mapping[str, Option]
    model: str | None
    inputs: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Remix:
    """The changes of a remix; `shape` is an option with its value, or None for the default.

    `negative_prompt` is None if the form had no such field.
    """

    prompt: str
    negative_prompt: str | None
    shape: tuple[str, str] | None
    count: int
    new_seed: bool
    expand: bool


class Results:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._catalog = services.catalog

    async def seen(self, member: Member, channel_id: int, job_id: str) -> Job:
        """Return a job that the member may see in this channel; ResultUnavailable for others."""
        async with self._database.reading() as view:
            job = await jobs.get(view, job_id)
        if job is None or not may_see(member, channel_id, job):
            raise ResultUnavailable
        return job

    async def is_known(self, job_id: str) -> bool:
        """Return whether there is such a job, of any member."""
        async with self._database.reading() as view:
            return await jobs.get(view, job_id) is not None

    async def of_message(self, message_id: int) -> Job | None:
        """Return the job whose result a message shows."""
        async with self._database.reading() as view:
            return await jobs.of_result_message(view, message_id)

    async def pictures(self, job: Job) -> dict[int, Picture]:
        """Return the result's pictures that are stored, by their numbers in the result, from 1.

        NoPictures or PicturesRemoved if there is none.
        """
        async with self._database.reading() as view:
            made = await pictures.of_job(view, job.id, Role.OUTPUT)
        if not made:
            raise NoPictures
        stored = {picture.sha256 for picture in await self._stored(made)}
        if not stored:
            raise PicturesRemoved
        numbered = enumerate(made, start=1)
        return {number: picture for number, picture in numbered if picture.sha256 in stored}

    async def again(self, member: Member, channel_id: int, job: Job) -> Draft:
        """Return the same request, with a new seed. PromptRemoved."""
        check_prompt(job)
        model = self._model_of(job)
        if model is not None and model not in self._catalog.specs:
            raise ModelGone(model)
        options = {name: value for name, value in job.request.options.items() if name != "seed"}
        inputs = await self._inputs_again(member, channel_id, job)
        return Draft(job, job.request.prompt, options, model, inputs)

    async def remix(self, member: Member, channel_id: int, job: Job, changes: Remix) -> Draft:
        """Return the request with a member's changes; everything else carries over.

        Options that the model no longer has are dropped.
        """
        options = dict(job.request.options)
        if changes.new_seed:
            options.pop("seed", None)
        if changes.shape != shape_of(job):
            for name in SHAPES:
                options.pop(name, None)
            options |= dict([changes.shape] if changes.shape else [])
        changed: dict[str, Option] = {"count": changes.count, "expand_prompt": changes.expand}
        spec = self._catalog.about(job.request.model)
        options |= {
            name: value
            for name, value in changed.items()
            if value != (options.get(name, default_of(spec, name)))
        }
        if changes.negative_prompt is not None:
            options["negative_prompt"] = changes.negative_prompt
        if not options.get("negative_prompt"):
            options.pop("negative_prompt", None)
        model = self._model_of(job)
        if (offered := self._catalog.specs.get(job.request.model)) is None:
            model = None
        else:
            options = {name: value for name, value in options.items() if name in offered.options}
        inputs = await self._inputs_again(member, channel_id, job)
        return Draft(job, changes.prompt, options, model, inputs)

    def edit(
        self,
        job: Job,
        picture: Picture,
        instruction: str,
        *,
        number: int,
        url: str = "",
        references: Iterable[Attachment] = (),
    ) -> Draft:
        """Return a request that changes a picture of a result, by its number there.

        `url` is an address from which a service can download the stored bytes, if there is one.
        """
        inputs = (stored_attachment(job, picture, number, url=url), *references)
        model = self._model_of(job)
        wanted = GenerationRequest(model or "", instruction, inputs=tuple(i.url for i in inputs))
        spec = self._catalog.specs.get(model or "")
        if spec is None or not spec.takes(wanted):
            model = None
        return Draft(job, instruction, {}, model, inputs)

    def _model_of(self, job: Job) -> str | None:
        return None if job.model_auto else job.request.model

    async def _inputs_again(
        self, member: Member, channel_id: int, job: Job
    ) -> tuple[Attachment, ...]:
        """Return a job's input pictures, if the member may edit each of them.

        Raises PicturesRemoved if one is no longer stored.
        """
        if not job.inputs:
            return ()
        async with self._database.reading() as view:
            stored = await pictures.of_job(view, job.id, Role.INPUT)
            makers = [await pictures.jobs_of(view, each.sha256, SAME_PICTURE) for each in stored]
        for made_by in makers:
            self._check_edit(member, channel_id, job, made_by)
        if len(stored) != len(job.inputs) or len(await self._stored(stored)) != len(stored):
            raise PicturesRemoved
        return tuple(
            replace(attachment, url="", copied=False, sha256=picture.sha256)
            for attachment, picture in zip(job.inputs, stored, strict=True)
        )

    def _check_edit(
        self, member: Member, channel_id: int, job: Job, made_by: Sequence[Job]
    ) -> None:
        """Raise OthersPicture if the member may not edit an input of a job, made by these jobs.

        The requester's own inputs are edited anywhere, but no results that were deleted since.
        """
        seen = (each for each in made_by if may_see(member, channel_id, each))
        result = next(seen, next(iter(made_by), None))
        deleted = all(each.hidden_at is not None for each in made_by)
        if job.user_id != member.user_id or (result is not None and deleted):
            origin = PictureOrigin(channel_id, author_id=job.user_id, job=result)
            self._services.quotas.check_edit(member, origin)

    async def _stored(self, known: Sequence[Picture]) -> list[Picture]:
        """Return those whose files are stored; all, if the store does not answer in time.

        The worker looks again.
        """
        store = self._services.pictures
        try:
            async with asyncio.timeout(FIND_TIMEOUT):
                found = [await store.find(name_of(picture)) for picture in known]
        except (TimeoutError, PicturesUnavailable) as error:
            log.info("stored pictures not found in time: %r", error)
            return list(known)
        return [picture for picture, file in zip(known, found, strict=True) if file is not None]


def check_prompt(job: Job) -> None:
    """Raise PromptRemoved if the words of the request are not stored any more."""
    if job.prompt_removed:
        raise PromptRemoved


def stored_attachment(job: Job, picture: Picture, number: int, *, url: str = "") -> Attachment:
    """Return a stored picture as an input, with the name that the result's message gives it."""
    return Attachment(
        name=f"easel-{job.id}-{number}.{picture.kind}",
        url=url,
        size=picture.size,
        width=picture.width,
        height=picture.height,
        sha256=picture.sha256,
    )


def shape_of(job: Job) -> tuple[str, str] | None:
    """Return the option that sets the shape of a job's pictures, with its value."""
    for name in SHAPES[:2]:
        if name in job.request.options:
            return name, str(job.request.options[name])
    return None


def default_of(spec: ModelSpec, name: str) -> Option | None:
    """Return the value that a model takes for an option that is not given."""
    option = spec.options.get(name)
    if name == "count":
        return 1
    return option.default if isinstance(option, Flag) else None
