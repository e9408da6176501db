"""The recipe of a result: everything needed to repeat the request, and the command to copy."""

import re
from collections.abc import Iterator, Mapping

from discord import ui

from bot.catalog import ModelSpec
from bot.jobs import Job, Option
from bot.pictures.marks import Recipe as FileRecipe
from cogs.ui.panel import AMBER, ago, panel, small
from cogs.ui.receipts import cost_of
from cogs.ui.text import plain, tidy
from cogs.ui.wording import Fact, Recipe, plural

LONGEST_COMMAND = 2900  # characters: all texts of a message have 4000
TEXTS = 3800  # characters of all texts of a recipe
SHORTEST_PART = 60  # characters of a prompt that gives way to the command
LONGEST_PART = 1200
MOST_OPTIONS = 10
OPTION = re.compile(r"[a-z_]{1,32}")  # the name of an option; a file may hold any other text


def recipe_view(job: Job, spec: ModelSpec) -> ui.LayoutView:
    """Return the recipe of a job: the prompts, the model, the options, the cost, the command."""
    command = command_block(job)
    options = _listed(job.request.options)
    negative = str(job.request.options.get("negative_prompt", ""))
    left = TEXTS - len(command) - len(options)
    share = min(max(left // 3, SHORTEST_PART), LONGEST_PART)
    return panel(
        Recipe.TITLE.format(prompt=plain(job.request.prompt, share)),
        *([Recipe.NEGATIVE.format(prompt=plain(negative, share))] if negative else ()),
        *([options] if options else ()),
        *_drawn(job, share),
        command,
        small(*_facts(job, spec)),
    )


def file_recipe_view(recipe: FileRecipe) -> ui.LayoutView:
    """Return the recipe that a file claims to have."""
    options = {name: value for name, value in recipe.options.items() if OPTION.fullmatch(name)}
    command = _block(_command("imagine", recipe.prompt, recipe.model, options))
    listed = _listed(options)
    share = min(max((TEXTS - len(command) - len(listed)) // 3, SHORTEST_PART), LONGEST_PART)
    negative = str(options.get("negative_prompt", ""))
    return panel(
        Recipe.FILE_TITLE.format(prompt=plain(recipe.prompt, share)),
        *([Recipe.NEGATIVE.format(prompt=plain(negative, share))] if negative else ()),
        *([listed] if listed else ()),
        command,
        small(plain(recipe.model, 100), Recipe.FILE_REMARK),
        colour=AMBER,
    )


def command_block(job: Job) -> str:
    """Return the command in a block of code, which a phone copies by a touch."""
    note = f"\n{plural(Recipe.ATTACH, len(job.inputs))}" if job.inputs else ""
    return _block(command_text(job), note)


def command_text(job: Job) -> str:
    """Return the command that repeats a request, on one line and without the end of a block.

    The pictures of an /edit have to be attached again: no text stands for them.
    """
    options = dict(job.request.options)
    if job.route.private:
        options["private"] = True
    name = "edit" if job.inputs else "imagine"
    return _command(name, job.request.prompt, job.request.model, options)


def _command(name: str, prompt: str, model: str, options: Mapping[str, Option]) -> str:
    given: dict[str, Option] = {"prompt": prompt, "model": model, **options}
    return " ".join([f"/{name}", *(f"{key}:{_typed(value)}" for key, value in given.items())])


def _typed(value: Option) -> str:
    """Return a value as a member types it. Three backticks would end the block of code."""
    return tidy(str(value)).replace("```", "'''")


def _block(command: str, note: str = "") -> str:
    if len(command) > LONGEST_COMMAND:
        return Recipe.LONG_COMMAND
    return f"```\n{command}\n```{note}"


def _listed(options: Mapping[str, Option]) -> str:
    named = [
        f"{name} {plain(str(value), 60)}"
        for name, value in options.items()
        if name != "negative_prompt"
    ]
    return " · ".join(named[:MOST_OPTIONS])


def _drawn(job: Job, share: int) -> Iterator[str]:
    if job.expanded_prompt:
        yield Recipe.DRAWN.format(prompt=plain(job.expanded_prompt, share))


def _facts(job: Job, spec: ModelSpec) -> Iterator[str]:
    yield spec.title
    if job.inputs:
        yield plural(Fact.INPUTS, len(job.inputs))
    if job.cost is not None:
        yield cost_of(job)
    yield ago(job.created_at)
    yield f"job {job.id}"
