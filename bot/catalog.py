"""The models on offer, with the options, limits and price of each.

Options have the names of Easel's commands; a provider translates them into the names of the API.
The values come from the tables in the providers' folders, until an API describes the models.
"""

import unicodedata
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bot.errors import UserError
from bot.jobs import GenerationRequest, Option

MAX_PROMPT = 2000  # characters, about the model's 1,000 tokens (apis.md, The model: limits)
MAX_SEED = 2147483647
MAX_COUNT = 4
MAX_INPUTS = 4

# Letters and symbols that show nothing: Hangul fillers, the empty Braille cell and note head.
BLANK = "\u115f\u1160\u3164\uffa0\u2800\U0001d159"


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of one of `values`."""

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
    """A text. `longest` is in characters; None if the API states no limit."""

    longest: int | None = None


OptionSpec = Choice | Whole | Flag | Text


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model on offer. `price` is for one picture, in thousandths of a credit."""

    key: str  # the value of the option `model`
    provider: str  # the key of the provider, which may offer several models
    title: str
    service: str  # the name of the service, for sentences
    options: Mapping[str, OptionSpec]
    max_inputs: int
    price: int
    price_known: bool = False  # reported by the service, not the operator's setting
    seed_makes_one: bool = False  # a seed with `count` over 1 is refused
    cancels: bool = True  # a running job can be stopped
    input_options: frozenset[str] = frozenset()  # refused without an input picture
    needs_input: bool = False  # makes nothing of a prompt alone
    longest_prompt: int = MAX_PROMPT  # characters
    problem: str = ""  # for the operator: why the model takes no request at all

    def takes(self, request: GenerationRequest) -> bool:
        """Return whether the model has every option and takes every picture, of any value."""
        return (
            not self.problem
            and len(request.prompt) <= self.longest_prompt
            and set(request.options) <= set(self.options)
            and len(request.inputs) <= self.max_inputs
            and (bool(request.inputs) or not self.needs_input)
        )


# Groups of options of which a request may have only one: each sets the size of the picture.
EXCLUSIVE = (frozenset({"aspect_ratio", "image_size", "match_input_image"}),)


class UnknownModel(UserError):
    def __init__(self, value: str, known: Iterable[str]) -> None:
        super().__init__(
            "There is no model {value}. Choose one of: {known}.",
            value=_quoted(value),
            known=tuple(known),
        )


class PromptRefused(UserError):
    """The prompt is empty or too long."""


class EmptyPrompt(PromptRefused):
    def __init__(self) -> None:
        super().__init__(
            "The prompt is empty. Describe the picture in 1 to {longest} characters.",
            longest=MAX_PROMPT,
        )


class LongPrompt(PromptRefused):
    def __init__(self, length: int, spec: ModelSpec) -> None:
        super().__init__(
            "The prompt has {length} characters. Describe the picture in 1 to {longest} "
            "characters.",
            length=length,
            longest=spec.longest_prompt,
        )


class OptionRefused(UserError):
    """The model does not have the option, or does not take the value."""


class UnknownOption(OptionRefused):
    def __init__(self, name: str, spec: ModelSpec) -> None:
        super().__init__(
            "{service} has no option {name}. It has: {options}.",
            service=spec.service,
            name=name,
            options=tuple(spec.options),
        )


class UnknownValue(OptionRefused):
    def __init__(self, name: str, value: Option, spec: ModelSpec, values: Iterable[str]) -> None:
        super().__init__(
            "{service} has no {name} {value}. Choose one of: {values}.",
            service=spec.service,
            name=name,
            value=_quoted(value),
            values=tuple(values),
        )


class NumberOutOfRange(OptionRefused):
    def __init__(self, name: str, minimum: int, maximum: int) -> None:
        super().__init__(
            "{name} must be a whole number from {minimum} to {maximum}.",
            name=name,
            minimum=minimum,
            maximum=maximum,
        )


class LongText(OptionRefused):
    def __init__(self, name: str, length: int, longest: int, spec: ModelSpec) -> None:
        super().__init__(
            "{name} has {length} characters; {service} takes up to {longest}. Shorten it.",
            name=name,
            length=length,
            service=spec.service,
            longest=longest,
        )


class ExclusiveOptions(OptionRefused):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(
            "{first} and {second} exclude each other. Give one of them.", first=first, second=second
        )


class SeedMakesOne(OptionRefused):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(
            "At {service} one seed makes one picture. Leave out seed, or set count to 1.",
            service=spec.service,
        )


class NeedsInput(OptionRefused):
    def __init__(self, name: str) -> None:
        super().__init__("{name} needs an input picture. Use /edit with a picture.", name=name)


INPUTS_REFUSED = {
    0: "{service} edits no pictures. Choose another model, or use /imagine.",
    1: "{service} takes one picture, and you gave {given}. Attach fewer.",
}


class ModelUnusable(UserError):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(
            "{service} makes no pictures at the moment. Choose another model, or tell the bot's "
            "operator.",
            service=spec.service,
        )


class InputRequired(UserError):
    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(
            "{service} makes no picture from a description alone. Use /edit with a picture, or "
            "choose another model.",
            service=spec.service,
        )


class InputsRefused(UserError):
    def __init__(self, given: int, spec: ModelSpec) -> None:
        text = INPUTS_REFUSED.get(
            spec.max_inputs,
            "{service} takes up to {limit} pictures, and you gave {given}. Attach fewer.",
        )
        super().__init__(text, service=spec.service, limit=spec.max_inputs, given=given)


class Catalog:
    """All models, in the order in which they are tried if a member names none."""

    def __init__(
        self,
        specs: Iterable[ModelSpec],
        default: str | None = None,
        *,
        known: Iterable[ModelSpec] = (),
    ) -> None:
        """`default` is tried first. `known` may be models of stored jobs, on offer or not."""
        self._specs = {spec.key: spec for spec in specs}
        self._list_prices = {spec.key: spec.price for spec in self._specs.values()}
        self._dearest: dict[str, int] = {}
        self._known = {spec.key: spec for spec in known}
        if default is not None and default in self._specs:
            self._specs = {default: self._specs[default], **self._specs}

    @property
    def specs(self) -> Mapping[str, ModelSpec]:
        return MappingProxyType(self._specs)

    def update(self, spec: ModelSpec) -> None:
        """Replace a model by the description of its API, with the list price."""
        self._list_prices[spec.key] = spec.price
        price = max(spec.price, self._dearest.get(spec.key, 0))
        self._specs[spec.key] = replace(spec, price=price)

    def follow_cost(self, key: str, dearest: int, *, most: int) -> ModelSpec | None:
        """Set the price of a model to the dearest cost of a picture, in thousandths of a credit.

        It stays between the list price and `most` times that. None if the model is not on offer.
        """
        spec = self._specs.get(key)
        if spec is None:
            return None
        listed = self._list_prices[key]
        self._dearest[key] = min(dearest, most * listed)
        self._specs[key] = replace(spec, price=max(listed, self._dearest[key]))
        return self._specs[key]

    def get(self, key: str) -> ModelSpec:
        if spec := self.find(key):
            return spec
        raise UnknownModel(key, self._specs)

    def find(self, key: str) -> ModelSpec | None:
        """Return the model on offer with this key, in any case, or with this title."""
        wanted = key.strip().lower()
        titled = (each for each in self._specs.values() if each.title.lower() == wanted)
        return self._specs.get(wanted) or next(titled, None)

    def about(self, key: str) -> ModelSpec:
        """Return the model of a stored job; one that is no longer known has no options."""
        found = self._specs.get(key) or self._known.get(key)
        return found or ModelSpec(key, key, key, key, options={}, max_inputs=0, price=0)

    def choose(
        self, request: GenerationRequest, *, down: Container[str] = (), closed: Container[str] = ()
    ) -> ModelSpec:
        """Return the first model that takes the whole request, for a member who named none.

        Models of providers that are not `down` come first, and last those that are `closed` to the
        member, by their keys.
        """
        specs = sorted(self._specs.values(), key=lambda spec: spec.provider in down)
        specs.sort(key=lambda spec: spec.key in closed)
        return next((spec for spec in specs if spec.takes(request)), specs[0])

    def values(self, option: str, model: str | None = None) -> tuple[str, ...]:
        """Return the values to complete an option by: those of one model, or of all in order."""
        specs = [self._specs[model]] if model in self._specs else self._specs.values()
        found = (spec.options.get(option) for spec in specs)
        values = (value for each in found if isinstance(each, Choice) for value in each.values)
        return tuple(dict.fromkeys(values))


def check_request(request: GenerationRequest, spec: ModelSpec) -> None:
    """Raise a UserError for the first thing that the model cannot do, with the possible values."""
    if not any(_is_visible(character) for character in request.prompt):
        raise EmptyPrompt
    if len(request.prompt) > spec.longest_prompt:
        raise LongPrompt(len(request.prompt), spec)
    if spec.problem:
        raise ModelUnusable(spec)
    if len(request.inputs) > spec.max_inputs:
        raise InputsRefused(len(request.inputs), spec)
    if spec.needs_input and not request.inputs:
        raise InputRequired(spec)
    for name, value in request.options.items():
        if name not in spec.options:
            raise UnknownOption(name, spec)
        _check_value(name, value, spec.options[name], spec)
    _check_together(request, spec)


def _check_value(name: str, value: Option, option: OptionSpec, spec: ModelSpec) -> None:
    match option:
        case Choice(values) if value not in values:
            raise UnknownValue(name, value, spec, values)
        case Flag() if not isinstance(value, bool):
            raise UnknownValue(name, value, spec, ("true", "false"))
        case Whole(minimum, maximum) if not (
            isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum
        ):
            raise NumberOutOfRange(name, minimum, maximum)
        case Text(int(longest)) if len(str(value)) > longest:
            raise LongText(name, len(str(value)), longest, spec)
        case _:
            pass


def _check_together(request: GenerationRequest, spec: ModelSpec) -> None:
    given = {name for name, value in request.options.items() if value is not False}
    for group in EXCLUSIVE:
        if len(clash := sorted(given & group)) > 1:
            raise ExclusiveOptions(*clash[:2])
    if spec.seed_makes_one and "seed" in given and request.count > 1:
        raise SeedMakesOne(spec)
    if not request.inputs and (lonely := sorted(given & spec.input_options)):
        raise NeedsInput(lonely[0])


def _is_visible(character: str) -> bool:
    """Return False for spaces, joiners, marks without a letter, and letters that show nothing."""
    return unicodedata.category(character)[0] not in "ZCM" and character not in BLANK


def _quoted(value: Option) -> str:
    text = str(value)
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"
