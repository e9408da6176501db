"""Evidence from outside the bot: messages, pictures, requests and generations."""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from PIL import Image, ImageChops, ImageStat

from bot.jobs import JOB_ID_PATTERN
from bot.sandbox.discord import Message, User
from bot.sandbox.generations import FakeGeneration
from bot.sandbox.http.service import Request
from tests.harness.crash import Arena, Requested

NOT_CHARGED: Final = "Nothing was charged"
CANCELED: Final = "Canceled."
SHRUNK: Final = "Shrunk to fit the upload limit"
# Excludes copies of input pictures.
RESULT_FILE: Final = re.compile(rf"easel-({JOB_ID_PATTERN})-[0-9]+\.[a-z]+")
SMALL_LINE: Final = re.compile(rf"\bjob ({JOB_ID_PATTERN})$", re.MULTILINE)
# Thousandths of a credit per unit of the API's charge.
THOUSANDTHS: Final = {"oxen": 100 * 1000, "skills": 1000}
DEFAULT_RATIO: Final = {"oxen": "16:9", "skills": "1:1"}
COUNT_NAMES: Final = {"oxen": "num_generations", "skills": "n"}
ALIKE: Final = 6.0  # largest mean colour difference, of 255, caused by shrinking
SAMPLE: Final = (16, 16)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a stand-in has drawn."""

    generation: str
    index: int
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.generation}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Made:
    """A generation of a stand-in."""

    model: str
    generation: FakeGeneration

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def prompt(self) -> str:
        return str(self.generation.body["prompt"])

    @property
    def charged(self) -> int:
        return int(self.generation.charged * THOUSANDTHS[self.model])

    @property
    def pictures(self) -> list[str]:
        """Return the names of the pictures that may be shown, in the form of `str(Picture)`."""
        ended = self.generation.status == "succeeded"
        return [f"{self.id}[{index}]" for index in range(self.generation.pictures * ended)]

    def fits(self, requested: Requested, model: str) -> bool:
        """Return whether this request, sent to this model, may have created the generation."""
        draw_request = self.generation.draw_request
        inputs = draw_request.inputs if draw_request else None
        given = (requested.picture,) if requested.picture is not None else ()
        return (
            self.model == model
            and self.prompt == requested.prompt
            and wish_of(model, self.generation.body) == wish_of_requested(requested, model)
            and inputs in (None, given)  # None: the generation ended before the download
        )


Wish = tuple[str, int, str, bool]  # model, number of pictures, aspect ratio, with an input picture


def wish_of(model: str, body: Mapping[str, object]) -> Wish:
    """Return the parameters of a creating request, without the prompt."""
    count = int(str(body.get(COUNT_NAMES[model], 1)))
    ratio = str(body.get("aspect_ratio", DEFAULT_RATIO[model]))
    return model, count, ratio, bool(body.get("input_image") or body.get("image_urls"))


def wish_of_requested(requested: Requested, model: str) -> Wish:
    ratio = str(requested.options.get("aspect_ratio", DEFAULT_RATIO[model]))
    return model, requested.count, ratio, requested.picture is not None


@dataclass(frozen=True, slots=True)
class Posted:
    """A creating request, as received by a stand-in."""

    model: str
    request: Request
    body: Mapping[str, object]

    @property
    def sure(self) -> bool:
        """Return whether the answer proves that nothing was created, so that a repeat is safe."""
        if self.request.status != 503:
            return self.request.status == 429
        try:
            error = json.loads(self.request.error)
        except ValueError:
            return False
        return isinstance(error, dict) and "error" in error

    @property
    def wish(self) -> Wish:
        return wish_of(self.model, self.body)


def posted(arena: Arena) -> dict[str, list[Posted]]:
    """Return all creating requests by prompt, in the order of arrival."""
    found = [
        Posted(model, request, request.body)
        for model, api in (("oxen", arena.oxen), ("skills", arena.skills))
        for request in api.requests
        if request.method == "POST" and isinstance(request.body, dict)
    ]
    by_prompt: dict[str, list[Posted]] = {}
    for each in sorted(found, key=lambda each: each.request.at):
        by_prompt.setdefault(str(each.body.get("prompt")), []).append(each)
    return by_prompt


def made(arena: Arena) -> dict[str, Made]:
    """Return all generations by id."""
    return {
        id: Made(model, generation)
        for model, api in (("oxen", arena.oxen), ("skills", arena.skills))
        for id, generation in api.generations.items()
    }


class Gallery:
    """All pictures that the stand-ins have drawn, recognised by their pixels."""

    def __init__(self, arena: Arena) -> None:
        self._by_digest: dict[bytes, Picture] = {}
        self._of: dict[str, list[Picture]] = {}
        for each in made(arena).values():
            for index, data in each.generation.drawn.items():
                picture = Picture(each.id, index, data)
                self._by_digest[digest(data)] = picture
                self._of.setdefault(each.id, []).append(picture)

    def shown(self, message: Message, own: Sequence[Made] = ()) -> list[str]:
        """Return the names of the pictures in a result.

        A shrunk picture counts as the most similar picture of the `own` generations.
        """
        likely = [picture for each in own for picture in self._of.get(each.id, ())]
        if SHRUNK not in message.text():
            likely = []
        return [
            str(self._by_digest.get(digest(data)) or _most_like(data, likely) or "unknown")
            for data in files(message)
        ]


def digest(data: bytes) -> bytes:
    """Return a hash of the pixels: the bot writes a mark beside them."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            data = opened.convert("RGBA").tobytes()
    except OSError:  # not a picture
        return hashlib.sha256(data).digest()
    return hashlib.sha256(data).digest()


def _most_like(data: bytes, likely: Sequence[Picture]) -> Picture | None:
    sample = _sample(data)

    def difference(picture: Picture) -> float:
        apart = ImageChops.difference(sample, _sample(picture.data))
        return sum(ImageStat.Stat(apart).mean) / 3

    nearest = min(likely, key=difference, default=None)
    return nearest if nearest is not None and difference(nearest) <= ALIKE else None


def _sample(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB").resize(SAMPLE, Image.Resampling.BOX)


def files(message: Message) -> list[bytes]:
    """Return the pictures of a result, without the copies of inputs that a status may show."""
    return [file.data for file in message.files if RESULT_FILE.fullmatch(file.filename)]


def jobs_named(message: Message) -> set[str]:
    """Return the ids of the jobs in the files' names and in the small line."""
    names = (RESULT_FILE.fullmatch(file.filename) for file in message.files)
    return {name[1] for name in names if name} | set(SMALL_LINE.findall(message.text()))


def results(arena: Arena) -> dict[str | int, list[Message]]:
    """Return the messages that show a result or a failure, by job id.

    Replies are listed by the id of their interaction. Messages about a cancel do not count.
    """
    asking = {requested.interaction.id for requested in arena.requested}
    found: dict[str | int, list[Message]] = {}
    for message in arena.discord.world.messages.values():
        text = message.text()
        if message.deleted or message.author is not arena.discord.bot_user:
            continue
        if not (files(message) or NOT_CHARGED in text) or CANCELED in text:
            continue
        if message.interaction is None:
            found.setdefault(" and ".join(sorted(jobs_named(message))), []).append(message)
        elif message.interaction.id in asking:
            found.setdefault(message.interaction.id, []).append(message)
    return found


def others_see(message: Message, user: User) -> bool:
    """Return whether another user sees the message, or saw the message before a deletion."""
    if message.ephemeral_to is not None:
        return message.ephemeral_to is not user
    channel = message.channel
    return channel.guild is not None or any(
        each is not user and not each.bot for each in channel.recipients
    )
