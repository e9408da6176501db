"""The forms Remix and Edit under a result, and that of the message menu.

cogs._forms reads their submits from Discord's data; those under a result also after a restart.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import discord
from discord import ui

from bot.catalog import MAX_INPUTS, MAX_PROMPT, Choice, ModelSpec, Text, Whole
from bot.jobs import Job
from bot.studio.results import SHAPES, default_of, shape_of
from cogs.ui.actions import action_id
from cogs.ui.panel import MAX_CHOICES, PREFIX
from cogs.ui.text import shorten
from cogs.ui.wording import Actions, Command, EditForm, RemixForm

MAX_REFERENCES = 3  # uploads of the form beside the picture of the result
LONGEST_FIELD = 4000  # characters of a text field (docs/internals/discord.md, Limits)
DEFAULT_SHAPE = "default"
NEW_SEED, EXPAND = "new_seed", "expand"
PROMPT, NEGATIVE, SHAPE, COUNT, SWITCHES = "prompt", "negative", "shape", "count", "switches"
SWITCH_LABELS = {NEW_SEED: RemixForm.NEW_SEED, EXPAND: RemixForm.EXPAND}
PICTURE, PICTURES, REFERENCES = "picture", "pictures", "references"
MENU_FORM = re.compile(rf"{PREFIX}edit:[0-9]+")  # with the id of the interaction that opens it


def make_form(custom_id: str, title: str, *fields: ui.Label[Any]) -> ui.Modal:
    """Return a modal of at most 5 fields, which discord.py does not store."""
    form = ui.Modal(title=title, custom_id=custom_id, timeout=None)
    for field in fields:
        form.add_item(field)
    form.stop()  # discord.py stores only a form that still waits for its submit
    return form


def remix_form(
    job: Job, spec: ModelSpec, *, prompt: str | None = None, expand: bool | None = None
) -> ui.Modal:
    """Return the form that changes a request; `prompt` and `expand` replace those of the job."""
    options = job.request.options
    chosen = shape_of(job)
    if expand is None:
        expand = bool(options.get("expand_prompt", default_of(spec, "expand_prompt")))
    seed = RemixForm.SEED.format(seed=options["seed"]) if "seed" in options else RemixForm.NO_SEED
    return make_form(
        action_id("remix", job.id),
        Actions.REMIX,
        _text(PROMPT, RemixForm.PROMPT, prompt or job.request.prompt, spec.longest_prompt),
        *_negative_prompt(spec, str(options.get("negative_prompt", ""))),
        _select(SHAPE, RemixForm.SHAPE, shapes_of(spec), "=".join(chosen or (DEFAULT_SHAPE,))),
        _select(COUNT, RemixForm.COUNT, counts_of(spec), str(job.request.count)),
        ui.Label(
            text=RemixForm.SWITCHES,
            component=ui.CheckboxGroup[Any](
                custom_id=SWITCHES,
                required=False,
                min_values=0,
                options=[
                    discord.CheckboxGroupOption(
                        label=RemixForm.NEW_SEED, value=NEW_SEED, description=seed, default=True
                    ),
                    discord.CheckboxGroupOption(
                        label=RemixForm.EXPAND, value=EXPAND, default=expand
                    ),
                ],
            ),
        ),
    )


def edit_form(job: Job, pictures: Sequence[int], spec: ModelSpec) -> ui.Modal:
    """Return the form that changes a picture of a result, with further pictures if wished.

    `pictures` are the numbers of those that are stored.
    """
    fields = [_text(PROMPT, EditForm.PROMPT, "", spec.longest_prompt)]
    if len(pictures) > 1:
        numbers = {str(number): EditForm.RESULT_CHOICE.format(number=number) for number in pictures}
        fields.insert(0, _select(PICTURE, EditForm.PICTURE, numbers, str(pictures[0])))
    uploads = ui.FileUpload[Any](
        custom_id=REFERENCES, required=False, min_values=0, max_values=MAX_REFERENCES
    )
    label = ui.Label[Any](
        text=EditForm.REFERENCES, description=EditForm.REFERENCES_HINT, component=uploads
    )
    return make_form(action_id("edit", job.id), Actions.EDIT, *fields, label)


def menu_form(interaction_id: int, names: Sequence[str]) -> ui.Modal:
    """Return the form that changes the pictures of a message, with a select if there are several.

    `names` are those of the files.
    """
    fields = [_text(PROMPT, EditForm.PROMPT, "", MAX_PROMPT)]
    if len(names) > 1:
        offered = {
            str(index): EditForm.PICTURE_CHOICE.format(number=index + 1, name=name)
            for index, name in enumerate(names)
        }
        most = min(MAX_INPUTS, len(names))
        fields.append(_select(PICTURES, EditForm.PICTURES, offered, "0", most=most))
    return make_form(f"{PREFIX}edit:{interaction_id}", Command.EDIT_MENU, *fields)


def shapes_of(spec: ModelSpec) -> Mapping[str, str]:
    """Return the shapes that a model offers, as values of the select, with their labels."""
    shapes = {DEFAULT_SHAPE: RemixForm.DEFAULT_SHAPE}
    for name in SHAPES:
        option = spec.options.get(name)
        if isinstance(option, Choice):
            shapes |= {f"{name}={value}": value for value in option.values}
    return dict([*shapes.items()][:MAX_CHOICES])


def counts_of(spec: ModelSpec) -> Mapping[str, str]:
    option = spec.options.get("count")
    most = option.maximum if isinstance(option, Whole) else 1
    return {str(count): str(count) for count in range(1, most + 1)}


def _negative_prompt(spec: ModelSpec, value: str) -> list[ui.Label[Any]]:
    option = spec.options.get("negative_prompt")
    if not isinstance(option, Text):
        return []
    longest = min(option.longest or LONGEST_FIELD, LONGEST_FIELD)
    return [_text(NEGATIVE, RemixForm.NEGATIVE_PROMPT, value, longest, required=False)]


def _text(
    name: str, label: str, value: str, longest: int, *, required: bool = True
) -> ui.Label[Any]:
    field = ui.TextInput[Any](
        custom_id=name,
        style=discord.TextStyle.paragraph,
        default=value[:longest] or None,
        max_length=longest,
        required=required,
    )
    return ui.Label(text=label, component=field)


def _select(
    name: str, label: str, offered: Mapping[str, str], chosen: str, *, most: int = 1
) -> ui.Label[Any]:
    options = [
        discord.SelectOption(label=shorten(text, 100), value=value, default=value == chosen)
        for value, text in offered.items()
    ]
    return ui.Label(
        text=label, component=ui.Select[Any](custom_id=name, options=options, max_values=most)
    )
