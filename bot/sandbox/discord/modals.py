"""Modals: read the form that an application sends."""

from collections.abc import Callable, Collection
from typing import Final

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.component_reader import Reader
from bot.sandbox.discord.request_body import Form, Json, Problems
from bot.sandbox.discord.selects import read_options, read_range, read_select

LABEL, FILE_UPLOAD, RADIO, CHECKBOXES, CHECKBOX = 18, 19, 21, 22, 23
IN_LABEL: Final = tree.SELECTS | {tree.TEXT_INPUT, FILE_UPLOAD, RADIO, CHECKBOXES, CHECKBOX}
AT_TOP: Final = frozenset({tree.ROW, tree.TEXT, LABEL})
TOP_LEVEL: Final = 5


def read_modal(data: Json, next_id: Callable[[], int], emoji: Collection[int]) -> Json:
    """Check the data of a callback of type 9. Raise `Refusal`."""
    problems = Problems()
    form = Form(data, problems, ("data",))
    form.only({"custom_id", "title", "components"})
    reader = ModalReader(problems, {}, next_id, emoji)
    modal = {
        "custom_id": form.text("custom_id", 100, low=1, required=True),
        "title": form.text("title", 45, low=1, required=True),
        "components": reader.read_all(
            form.forms("components", TOP_LEVEL, low=1, required=True), AT_TOP
        ),
    }
    reader.number()
    problems.settle()
    return modal


class ModalReader(Reader):
    """Reader of a modal's components."""

    def _kinds(self) -> dict[int, Callable[[Form, int], Json]]:
        return {
            tree.ROW: self._old_row,
            tree.TEXT: self._text,
            tree.TEXT_INPUT: self._input,
            LABEL: self._label,
            FILE_UPLOAD: self._upload,
            RADIO: self._radio,
            CHECKBOXES: self._checkboxes,
            CHECKBOX: self._checkbox,
            **dict.fromkeys(tree.SELECTS, self._modal_select),
        }

    def _old_row(self, form: Form, _: int) -> Json:
        """Read the form before labels: a row with one text input that has a label."""
        form.only({"type", "id", "components"})
        inner = form.forms("components", 1, low=1, required=True)
        for child in inner:
            child.text("label", 45, low=1, required=True)
        return {"components": self.read_all(inner, frozenset({tree.TEXT_INPUT}))}

    def _label(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "label", "description", "component"})
        inner = form.form("component", required=True)
        if inner is not None and inner.has("label"):
            inner.wrong("label", "COMPONENT_LABEL_CONFLICT", "The Label component has it already.")
        return {
            "label": form.text("label", 45, low=1, required=True),
            "description": form.text("description", 100),
            "component": (self.read(inner, IN_LABEL) if inner else None) or {},
        }

    def _input(self, form: Form, _: int) -> Json:
        keys = {"type", "id", "custom_id", "style", "label", "value", "placeholder"}
        form.only(keys | {"required", "min_length", "max_length"})
        low = form.whole("min_length", 0, 4000) or 0
        high = form.whole("max_length", 1, 4000) or 4000
        value = form.text("value", 4000)
        if low > high:
            form.wrong("min_length", "NUMBER_TYPE_MAX", "min_length is over max_length.")
        if value and not low <= len(value) <= high:
            form.wrong(
                "value", "BASE_TYPE_BAD_LENGTH", f"Must be between {low} and {high} in length."
            )
        return {
            "custom_id": self.custom_id(form),
            "style": form.choice("style", (1, 2), required=True),
            "label": form.data.get("label"),
            "value": value,
            "placeholder": form.text("placeholder", 100),
            "required": form.flag("required") is not False,
            "min_length": low,
            "max_length": high,
        }

    def _modal_select(self, form: Form, kind: int) -> Json:
        select = read_select(form, kind, self.custom_id(form), self.emoji)
        if select["disabled"]:
            form.wrong("disabled", "COMPONENT_DISABLED", "Disabled selects cannot be in modals.")
        required = select.get("required") is not False
        _check_least(form, select["min_values"], required=required)
        return {**select, "required": required}

    def _upload(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "custom_id", "min_values", "max_values", "required"})
        return self._group(form)

    def _radio(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "custom_id", "options", "required"})
        return {
            "custom_id": self.custom_id(form),
            "options": read_options(form, 10, low=2),
            "required": form.flag("required") is not False,
            "min_values": 1,
            "max_values": 1,
        }

    def _checkboxes(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "custom_id", "options", "min_values", "max_values", "required"})
        group = self._group(form)
        group["options"] = read_options(form, 10)
        if not form.has("max_values"):
            group["max_values"] = len(group["options"])
        return group

    def _checkbox(self, form: Form, _: int) -> Json:
        form.only({"type", "id", "custom_id", "default"})
        return {"custom_id": self.custom_id(form), "default": form.flag("default") or False}

    def _group(self, form: Form) -> Json:
        low, high = read_range(form, 10)
        required = form.flag("required") is not False
        _check_least(form, low, required=required)
        return {
            "custom_id": self.custom_id(form),
            "min_values": low,
            "max_values": high,
            "required": required,
        }


def _check_least(form: Form, least: int, *, required: bool) -> None:
    if required and least == 0:
        form.wrong("min_values", "NUMBER_TYPE_MIN", "0 is only for what is not required.")
