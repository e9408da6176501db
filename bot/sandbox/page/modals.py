"""Render a modal as HTML: a card with the form as the member sees it on opening."""

from collections.abc import Callable
from html import escape

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.interactions import Interaction
from bot.sandbox.discord.modals import CHECKBOX, CHECKBOXES, FILE_UPLOAD, LABEL, RADIO
from bot.sandbox.discord.request_body import Json
from bot.sandbox.page.components import Components

PARAGRAPH = 2  # the style of a text input with several lines


class Modals:
    """Renderer of modals."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._fields: dict[int, Callable[[Json], str]] = {
            tree.TEXT_INPUT: _text_input,
            FILE_UPLOAD: _upload,
            RADIO: lambda field: _choices(field, "radio"),
            CHECKBOXES: lambda field: _choices(field, "box"),
            CHECKBOX: lambda field: _choice("box", {"label": "", "default": field["default"]}),
            **dict.fromkeys(tree.SELECTS, components.select),
        }

    def render(self, interaction: Interaction) -> str:
        modal = interaction.modal or {}
        fields = "".join(self._top(component) for component in modal["components"])
        return (
            f'<aside class="modal"><header><b>{escape(modal["title"])}</b><span>✕</span></header>'
            f"{fields}<footer>"
            f'<button type="button" class="button secondary">Cancel</button>'
            f'<button type="button" class="button primary">Submit</button></footer></aside>\n'
        )

    def _top(self, component: Json) -> str:
        if component["type"] == tree.TEXT:
            return self._components.render([component])
        if component["type"] == LABEL:
            field, label = component["component"], component["label"]
            note = component["description"]
        else:
            field = component["components"][0]
            label, note = field["label"], None
        star = "<em>*</em>" if field.get("required") else ""
        small = f"<small>{escape(note)}</small>" if note else ""
        inner = self._fields[field["type"]](field)
        return f'<div class="field"><b>{escape(label)}{star}</b>{small}{inner}</div>'


def _text_input(field: Json) -> str:
    kind = "long" if field["style"] == PARAGRAPH else "short"
    value, hint = field["value"] or "", field["placeholder"] or ""
    text = escape(value) if value else f"<i>{escape(hint)}</i>"
    left = f"<u>{len(value)}/{field['max_length']}</u>" if kind == "long" else ""
    return f'<div class="input {kind}">{text}{left}</div>'


def _upload(field: Json) -> str:
    most = field["max_values"]
    files = "1 file" if most == 1 else f"up to {most} files"
    return f'<div class="drop"><b>Drop files here or browse</b><small>Upload {files}</small></div>'


def _choices(field: Json, kind: str) -> str:
    return "".join(_choice(kind, option) for option in field["options"])


def _choice(kind: str, option: Json) -> str:
    on = " on" if option.get("default") else ""
    note = option.get("description")
    small = f"<small>{escape(note)}</small>" if note else ""
    return (
        f'<div class="choice"><span class="{kind}{on}"></span>'
        f"<div>{escape(option['label'])}{small}</div></div>"
    )
