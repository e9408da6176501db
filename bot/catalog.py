"""The models on offer: what each accepts, as its API states it, and what a picture costs.

Options carry the names of our commands; a provider knows what its API calls them. The tables are
those of the APIs' own documents; what a models endpoint says later takes their place.
"""

import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.errors import UserError
from bot.jobs import GenerationRequest, Option

MAX_PROMPT = 2000  # characters; about the 1,000 tokens of the model (apis.md, C2)
MAX_SEED = 2147483647
MAX_COUNT = 4
MAX_INPUTS = 4


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `values`."""

    values: tuple[str, ...]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `minimum` to `maximum`, both included."""

    minimum: int
    maximum: int
    default: int | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    default: bool


@dataclass(frozen=True, slots=True)
class Text:
    """`longest` is in characters; None where the API states no limit."""

    longest: int | None = None


OptionSpec = Choice | Whole | Flag | Text


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model on offer. `price` is for one picture, in thousandths of a credit."""

    key: str  # what members write: `oxen`
    provider: str  # the key of the API that serves it; one API may serve several models
    title: str
    service: str  # the name of the service, for sentences
    options: Mapping[str, OptionSpec]
    max_inputs: int
    price: int
    price_known: bool = False  # the service has told it; else it is the operator's setting
    seed_makes_one: bool = False  # a seed with `count` over 1 is refused
    cancels: bool = True  # what has begun can be stopped
    takes_data: bool = False  # an input picture may also go as a `data:` address
    input_options: frozenset[str] = frozenset()  # mean something only beside an input picture

    def takes(self, request: GenerationRequest) -> bool:
        """Whether it has every option and can take every picture; says nothing about values."""
        return set(request.options) <= set(self.options) and len(request.inputs) <= self.max_inputs


# Groups of options of which a request may carry one only (design.md, Pictures in and out).
EXCLUSIVE = (frozenset({"aspect_ratio", "image_size", "match_input_image"}),)


class UnknownModel(UserError):
    def __init__(self, value: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no model {_quoted(value)}. Choose one of: {', '.join(known)}.")


class PromptRefused(UserError):
    def __init__(self, length: int) -> None:
        what = "The prompt is empty" if not length else f"The prompt has {length} characters"
        super().__init__(f"{what}. Describe the picture in 1 to {MAX_PROMPT} characters.")


class OptionRefused(UserError):
    """The value, or the option itself, is not one of the model's."""


class InputsRefused(UserError):
    def __init__(self, given: int, spec: ModelSpec) -> None:
        limit = "one picture" if spec.max_inputs == 1 else f"up to {spec.max_inputs} pictures"
        super().__init__(f"{spec.service} takes {limit}, and you gave {given}. Attach fewer.")


class Catalog:
    """All models, in the order in which they are tried where the member named none."""

    def __init__(self, specs: Iterable[ModelSpec], default: str | None = None) -> None:
        self._specs = {spec.key: spec for spec in specs}
        if default is not None and default in self._specs:
            self._specs = {default: self._specs[default], **self._specs}

    @property
    def specs(self) -> Mapping[str, ModelSpec]:
        return MappingProxyType(self._specs)

    def update(self, spec: ModelSpec) -> None:
        """Take what a models endpoint has told in place of the table's."""
        self._specs[spec.key] = spec

    def get(self, key: str) -> ModelSpec:
        try:
            return self._specs[key.strip().lower()]
        except KeyError:
            raise UnknownModel(key, self._specs) from None

    def about(self, key: str) -> ModelSpec:
        """What is known of a stored job's model, which may be on offer no longer."""
        return self._specs.get(key) or SPECS[key](price=0)

    def choose(self, request: GenerationRequest, *, down: Container[str] = ()) -> ModelSpec:
        """The model of a request that names none: the first that takes all of it, of those whose
        APIs are not `down` if one of them does."""
        specs = sorted(self._specs.values(), key=lambda spec: spec.key in down)
        return next((spec for spec in specs if spec.takes(request)), specs[0])

    def values(self, option: str, model: str | None = None) -> tuple[str, ...]:
        """What autocompletion offers: the values of one model, or of all of them in order."""
        specs = [self._specs[model]] if model in self._specs else self._specs.values()
        found = (spec.options.get(option) for spec in specs)
        values = (value for each in found if isinstance(each, Choice) for value in each.values)
        return tuple(dict.fromkeys(values))


def check_request(request: GenerationRequest, spec: ModelSpec) -> None:
    """Raise a UserError that lists what is possible, for the first thing the model cannot do."""
    visible = any(_is_visible(character) for character in request.prompt)
    if not visible or len(request.prompt) > MAX_PROMPT:
        raise PromptRefused(len(request.prompt) if visible else 0)
    if len(request.inputs) > spec.max_inputs:
        raise InputsRefused(len(request.inputs), spec)
    for name, value in request.options.items():
        if name not in spec.options:
            raise OptionRefused(
                f"{spec.service} has no option {name}. It has: {', '.join(spec.options)}."
            )
        _check_value(name, value, spec.options[name], spec)
    _check_together(request, spec)


def _check_value(name: str, value: Option, option: OptionSpec, spec: ModelSpec) -> None:
    match option:
        case Choice(values) if value not in values:
            raise OptionRefused(
                f"{spec.service} has no {name} {_quoted(value)}. "
                f"Choose one of: {', '.join(values)}."
            )
        case Whole(minimum, maximum) if not (
            isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum
        ):
            raise OptionRefused(f"{name} must be a whole number from {minimum} to {maximum}.")
        case Text(int(longest)) if len(str(value)) > longest:
            raise OptionRefused(
                f"{name} has {len(str(value))} characters; {spec.service} takes up to {longest}."
            )
        case _:
            pass


def _check_together(request: GenerationRequest, spec: ModelSpec) -> None:
    given = {name for name, value in request.options.items() if value is not False}
    for group in EXCLUSIVE:
        if len(clash := sorted(given & group)) > 1:
            raise OptionRefused(f"{' and '.join(clash)} exclude each other. Give one of them.")
    if spec.seed_makes_one and "seed" in given and request.count > 1:
        raise OptionRefused(
            f"At {spec.service} one seed makes one picture. Leave out seed, or set count to 1."
        )
    if not request.inputs and (lonely := sorted(given & spec.input_options)):
        raise OptionRefused(f"{lonely[0]} needs an input picture. Use /edit with a picture.")


def _is_visible(character: str) -> bool:
    """Spaces, joiners and the empty Braille cell are typed to make a prompt of nothing."""
    return unicodedata.category(character)[0] not in "ZC" and character != "\u2800"


def _quoted(value: Option) -> str:
    text = str(value)
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"


OXEN_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2")


def oxen_spec(*, price: int) -> ModelSpec:
    """Oxen's `qwen-image-2` by its document's table of parameters; `price` until it is told."""
    return ModelSpec(
        key="oxen",
        provider="oxen",
        title="Qwen Image 2 Pro at Oxen.ai",
        service="Oxen.ai",
        options={
            "aspect_ratio": Choice(OXEN_RATIOS, default="16:9"),
            "count": Whole(1, MAX_COUNT, default=1),  # num_generations of the queue
            "negative_prompt": Text(),
            "seed": Whole(0, MAX_SEED),
            "expand_prompt": Flag(default=True),
            "match_input_image": Flag(default=False),
        },
        max_inputs=1,
        price=price,
        takes_data=True,
        seed_makes_one=True,
        input_options=frozenset({"match_input_image"}),
    )


def skills_spec(*, price: int) -> ModelSpec:
    """skills.video's `qwen-image-2-pro` by its document's table; it tells prices nowhere."""
    ratios = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
    sizes = (
        *("square_hd", "square", "portrait_4_3", "portrait_16_9"),
        *("landscape_4_3", "landscape_16_9"),
    )
    return ModelSpec(
        key="skills",
        provider="skills",
        title="Qwen Image 2 Pro at skills.video",
        service="skills.video",
        options={
            "aspect_ratio": Choice(ratios, default="1:1"),
            "image_size": Choice(sizes),
            "count": Whole(1, MAX_COUNT, default=1),  # `n`
            "negative_prompt": Text(500),
            "seed": Whole(0, MAX_SEED),
            "expand_prompt": Flag(default=True),
            "safety_checker": Flag(default=True),
            "output_format": Choice(("jpeg", "png", "webp"), default="png"),
        },
        max_inputs=MAX_INPUTS,
        price=price,
        cancels=False,
    )


# Every model that can be on offer, in the order in which they are tried.
SPECS: Mapping[str, Callable[..., ModelSpec]] = {"oxen": oxen_spec, "skills": skills_spec}
