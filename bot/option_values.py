"""Requests as they fit a model: values in the model's own form, and refusals that name another.

Discord sends the label of a choice, or the text that a member has typed, instead of the value if
the client has lost the completion.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.catalog import (
    Catalog,
    Choice,
    Flag,
    ModelSpec,
    OptionRefused,
    OptionSpec,
    UnknownOption,
    UnknownValue,
    Whole,
    check_request,
)
from bot.errors import UserError
from bot.jobs import GenerationRequest, Option

# A label is a value with a remark after it, such as "16:9 (default)".
REMARK = re.compile(r"\s*\([^()]*\)\s*$")
WHOLE = re.compile(r"[0-9]{1,10}")
FLAGS: Mapping[str, bool] = {"true": True, "false": False}


class OptionElsewhere(OptionRefused):
    def __init__(self, name: str, spec: ModelSpec, other: ModelSpec) -> None:
        super().__init__(
            "{service} has no option {name}. {other} has {name}: choose model {model}.",
            service=spec.service,
            name=name,
            other=_name_of(other, spec),
            model=other.key,
        )


class ValueElsewhere(OptionRefused):
    def __init__(self, name: str, value: str, spec: ModelSpec, other: ModelSpec) -> None:
        super().__init__(
            "{service} has no {name} {value}. {other} has {name} {value}: choose model {model}.",
            service=spec.service,
            name=name,
            value=value,
            other=_name_of(other, spec),
            model=other.key,
        )


def fit(request: GenerationRequest, spec: ModelSpec, catalog: Catalog) -> GenerationRequest:
    """Return the request with the values of a model, checked; else raise a UserError.

    If another model takes the whole request as it is, the refusal of an option, or of a value,
    names that model.
    """
    try:
        return _fitted(request, spec)
    except (UnknownOption, UnknownValue) as error:
        others = (each for each in catalog.specs.values() if each.key != spec.key)
        other = next((each for each in others if _takes(request, each)), None)
        if other is None:
            raise
        raise _elsewhere(error, request, spec, other) from error


def chosen(value: str, values: Sequence[str]) -> str | None:
    """Return the value that is meant: the exact one, else in another case, else by its label."""
    text = value.strip()
    for typed in (text, REMARK.sub("", text)):
        if typed in values:
            return typed
        if found := next((each for each in values if each.casefold() == typed.casefold()), None):
            return found
    return None


def normalised(options: Mapping[str, Option], spec: ModelSpec) -> dict[str, Option]:
    """Return the options in the form in which the model takes them; what is unknown stays."""
    return {name: _normal(value, spec.options.get(name)) for name, value in options.items()}


def _fitted(request: GenerationRequest, spec: ModelSpec) -> GenerationRequest:
    fitted = replace(request, options=normalised(request.options, spec))
    check_request(fitted, spec)
    return fitted


def _takes(request: GenerationRequest, spec: ModelSpec) -> bool:
    try:
        _fitted(request, spec)
    except UserError:
        return False
    return True


def _elsewhere(
    error: UserError, request: GenerationRequest, spec: ModelSpec, other: ModelSpec
) -> OptionRefused:
    """Return the refusal of the first option that just the other model takes."""
    for name, value in request.options.items():
        if name not in spec.options:
            return OptionElsewhere(name, spec, other)
        mine, theirs = spec.options[name], other.options.get(name)
        if isinstance(mine, Choice) and isinstance(theirs, Choice) and isinstance(value, str):
            meant = chosen(value, theirs.values)
            if meant is not None and chosen(value, mine.values) is None:
                return ValueElsewhere(name, meant, spec, other)
    raise error


def _normal(value: Option, option: OptionSpec | None) -> Option:
    if not isinstance(value, str):
        return value
    match option:
        case Choice(values):
            return chosen(value, values) or value
        case Whole() if WHOLE.fullmatch(value.strip()):
            return int(value)
        case Flag():
            return FLAGS.get(value.strip().casefold(), value)
        case _:
            return value


def _name_of(other: ModelSpec, spec: ModelSpec) -> str:
    """Return the service of another model; the model's own name if both have the same service."""
    return other.service if other.service != spec.service else other.title
