"""Mark and Recipe: the facts about a result that its file carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.errors import EaselError
from bot.jobs import JOB_ID_PATTERN, Job, plain

MAX_RECIPE = 64 * 1024  # characters of JSON
MAX_OPTIONS = 32
MAX_TEXT = 6000  # characters of a prompt or an option, as many as a member can type at Discord


class Unmarkable(EaselError):
    """The structure of the file has no place for a mark. The text is the reason."""


class SourceType(StrEnum):
    """Values of DigitalSourceType (https://cv.iptc.org/newscodes/digitalsourcetype/)."""

    GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    COMPOSITE = (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )


Name = Annotated[str, Field(min_length=1, max_length=100)]
Value = (
    Annotated[str, Field(max_length=MAX_TEXT)] | bool | Annotated[int, Field(ge=-(2**63), lt=2**63)]
)


class Recipe(BaseModel):
    """The request that a picture was made from, as the file has it.

    Anybody may have written the file: nothing here is proof of a job.
    """

    # An error would hold the prompt, which no log may have.
    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    model: Name
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    options: Annotated[Mapping[Name, Value], Field(max_length=MAX_OPTIONS)] = {}
    job: Annotated[str, Field(pattern=f"^{JOB_ID_PATTERN}$")] | None = None

    @classmethod
    def parse(cls, text: str) -> "Recipe | None":
        """Return the recipe in a JSON text; None if the text holds no valid one."""
        if len(text) > MAX_RECIPE or "\\u0000" in text:  # NUL: see bot.jobs.plain
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a result. `system` names the model, and Easel as the one who requested it."""

    source: SourceType
    system: str
    recipe: Recipe | None = None


def mark_of(job: Job, title: str, *, with_recipe: bool = False) -> Mark:
    """Return the mark for the results of a job. `title` is that of the model."""
    has_inputs = bool(job.inputs or job.request.inputs)
    recipe = None
    if with_recipe:
        recipe = Recipe(
            model=job.request.model,
            prompt=plain(job.request.prompt),
            options=dict(job.request.options),
            job=job.id,
        )
    source = SourceType.COMPOSITE if has_inputs else SourceType.GENERATED
    return Mark(source, f"{title}, requested by Easel", recipe)
