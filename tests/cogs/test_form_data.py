"""Submitted forms and their values; the open forms and tokens that are held in memory."""

from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.jobs import Attachment, Picture, PictureKind
from cogs._forms import Fields, fields_of, pick
from cogs._menu_forms import FORM_LIFE, MenuForm, MenuForms
from cogs._menu_tokens import MenuTokens
from cogs._results import address_of
from tests.support.discord_objects import message_of
from tests.support.ground import Ground
from tests.support.rows import NOW

SUBMIT = 5


def fields(on: Ground, *components: Any, **more: Any) -> Fields:  # noqa: ANN401  # Discord's data
    data = {"custom_id": "x", "components": list(components), **more}
    return fields_of(on.received(on.interaction(), type=SUBMIT, data=data))


def label(**component: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": 18, "id": 1, "component": {"id": 2, **component}}


async def test_fields_are_read_from_labels_and_from_rows(on: Ground) -> None:
    found = fields(
        on,
        label(type=4, custom_id="prompt", value="  a fox "),
        {"type": 1, "id": 3, "components": [{"type": 4, "custom_id": "old", "value": "hen"}]},
        label(type=3, custom_id="chosen", values=["1", "2"]),
        label(type=21, custom_id="one", value="a"),
        label(type=23, custom_id="on", value=True),
        label(type=23, custom_id="off", value=False),
        {"type": 10, "id": 4, "content": "text"},
    )

    assert (found.text("prompt"), found.text("old")) == ("a fox", "hen")
    assert (found.chosen("chosen"), found.chosen("one")) == (["1", "2"], ["a"])
    assert (found.flag("on"), found.flag("off"), found.flag("prompt")) == (True, False, False)
    assert {*found.values} == {"prompt", "old", "chosen", "one", "on", "off"}


async def test_a_field_that_is_missing_or_of_another_kind_is_empty(on: Ground) -> None:
    found = fields(on, label(type=3, custom_id="chosen", values=["1"]))

    assert (found.text("none"), found.flag("none"), found.chosen("none")) == ("", False, [])
    assert (found.text("chosen"), found.attachments("none")) == ("", [])
    assert fields(on).values == {}
    assert fields_of(on.received(on.interaction(), type=SUBMIT, data={})).values == {}


async def test_files_are_those_of_the_field_in_their_order(on: Ground) -> None:
    known = {"filename": "cat.png", "url": "https://x/cat.png", "size": 9, "width": 2, "height": 1}
    found = fields(
        on,
        label(type=19, custom_id="files", values=["12", "11", "13"]),
        resolved={"attachments": {"11": known, "12": {}}},
    )

    assert found.attachments("files") == [
        Attachment("picture", ""),
        Attachment("cat.png", "https://x/cat.png", size=9, width=2, height=1),
    ]


def test_a_value_is_chosen_by_itself_then_by_its_case_then_by_its_label() -> None:
    offered = {"a": "B", "b": "Second", "C": "third", "": "nothing"}

    assert pick("b", offered) == "b"
    assert pick("B", offered) == "b"  # another case comes before a label
    assert pick("c", offered) == "C"
    assert pick("SECOND", offered) == "b"
    assert pick("", offered) == ""
    assert pick("d", offered) is None


def form(name: str = "form") -> MenuForm:
    return MenuForm(name, [Attachment("cat.png", "")], private=False)


def test_a_form_is_taken_once_by_its_member_within_an_hour() -> None:
    now = [NOW]
    forms = MenuForms(lambda: now[0])

    assert timedelta(hours=1) == FORM_LIFE
    forms.add(1, form())
    assert forms.take(2, "form") is None
    assert forms.take(1, "another") is None
    now[0] = NOW + FORM_LIFE - timedelta(seconds=1)
    assert forms.take(1, "form") == form()
    assert forms.take(1, "form") is None
    forms.add(1, form())
    now[0] += FORM_LIFE
    assert forms.take(1, "form") is None


def test_a_member_has_the_newest_form_and_expired_ones_are_forgotten() -> None:
    now = [NOW]
    forms = MenuForms(lambda: now[0])
    forms.add(1, form("first"))
    forms.add(1, form("second"))
    forms.put_back(1, form("first"))  # a newer one is open
    assert forms.take(1, "first") is None
    assert forms.take(1, "second") == form("second")
    forms.put_back(1, form("second"))
    assert len(forms) == 1

    now[0] = NOW + FORM_LIFE - timedelta(seconds=1)
    forms.add(2, form())
    assert len(forms) == 2
    now[0] = NOW + FORM_LIFE
    forms.add(3, form())
    assert len(forms) == 2


def test_a_token_lasts_less_than_15_minutes_and_reaches_one_message() -> None:
    now = [NOW]
    tokens = MenuTokens(lambda: now[0])
    tokens.add(5, 7, 1, "token")

    now[0] = NOW + timedelta(minutes=15, seconds=-1)
    found = tokens.find(5, 7)
    assert found is not None
    assert (found.message_id, found.application_id, found.token) == (7, 1, "token")
    assert tokens.find(5, 8) is None
    assert tokens.find(6, 7) is None
    now[0] = NOW + timedelta(minutes=15)
    assert tokens.find(5, 7) is None


def test_the_oldest_of_many_tokens_is_forgotten_and_expired_ones_are_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cogs._menu_tokens.REMEMBERED", 2)
    now = [NOW]
    tokens = MenuTokens(lambda: now[0])
    for number in (1, 2, 3):
        tokens.add(number, 7, 1, "token")
    assert [tokens.find(each, 7) is not None for each in (1, 2, 3)] == [False, True, True]

    now[0] = NOW + timedelta(minutes=14)
    tokens.add(4, 7, 1, "token")  # 3 and 4 are left
    now[0] = NOW + timedelta(minutes=15)
    tokens.add(5, 7, 1, "token")
    assert [tokens.find(each, 7) is not None for each in (3, 4, 5)] == [False, True, True]


async def test_the_address_of_a_picture_is_that_of_the_same_size_and_number(
    on: Ground,
) -> None:
    def shown(name: str = "easel-x-2.png", width: int = 9, height: int = 8) -> discord.Message:
        files = [
            {
                "id": str(number),
                "filename": each,
                "url": f"https://x/{each}",
                "proxy_url": "",
                "size": 5,
                "width": width,
                "height": height,
            }
            for number, each in enumerate(("easel-x-1.png", name))
        ]
        return message_of(on.client, {"attachments": files})

    picture = Picture("a" * 64, PictureKind.PNG, 5, 9, 8)

    assert address_of(shown(), picture, 2) == "https://x/easel-x-2.png"
    assert address_of(None, picture, 1) == ""
    assert address_of(shown(), picture, 3) == ""
    assert address_of(shown(width=8), picture, 2) == ""
    assert address_of(shown(height=9), picture, 2) == ""
    assert address_of(shown("easel-x-2.jpg"), picture, 2) == ""  # a reduced copy
    assert address_of(shown("easel-x-3.png"), picture, 2) == ""
