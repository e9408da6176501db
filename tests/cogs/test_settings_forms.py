"""The forms of `/server settings`: their fields, the raw values, and what a submit changes."""

from typing import Any

import discord
import pytest

from bot.catalog import Catalog, ModelSpec
from bot.errors import UserError
from bot.periods import PeriodKind, ZoneChange
from bot.rights import ALL_MODELS, READY_MADE, Allowance, Rights, ServerSettings, Subject
from bot.studio.setting_input import Word
from cogs.ui.server_forms import (
    FIELDS,
    FORM,
    Raw,
    RawFields,
    Target,
    changed_of,
    mark_of,
    marks_of,
    raw_rights,
    raw_settings,
    settings_form,
)
from tests.support.rows import NOW
from tests.support.views import chosen

CATALOG = Catalog([ModelSpec(key, key, f"Model {key}", key, {}, 0, 1) for key in ("a", "b")])
SERVER = Target(None)
GUESTS = Target(Subject.TIER, "guest")
EMPTY = raw_rights(Rights())


def fields(form: str, raw: RawFields, catalog: Catalog = CATALOG) -> dict[str, dict[str, Any]]:
    data: dict[str, Any] = settings_form(form, GUESTS, raw, catalog).to_dict()
    components = [each["component"] for each in data["components"]]
    return {each["custom_id"]: each for each in components}


def changed(form: str, **raw: Raw) -> dict[str, object]:
    """Return the changes of a form that was opened with the rights of nobody."""
    return {**changed_of(form, {**EMPTY, **raw}, marks_of(form, EMPTY))}


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (SERVER, "server"),
        (Target(Subject.DEFAULT), "default"),
        (Target(Subject.ROLE, "5"), "role:5"),
        (GUESTS, "tier:guest"),
    ],
)
def test_a_form_names_its_target_and_the_values_at_its_opening(target: Target, text: str) -> None:
    form = settings_form("models", target, EMPTY, CATALOG)
    match = FORM.fullmatch(form.custom_id)

    assert str(target) == text
    assert match is not None
    assert Target.of(match["target"]) == target
    assert match["marks"] == marks_of("models", EMPTY)
    assert len(match["marks"]) == 18
    again = settings_form("models", target, EMPTY, CATALOG, marks="abc")
    assert again.custom_id.endswith(f":{text}:abc")


def test_a_mark_depends_on_the_values_and_not_on_their_order() -> None:
    assert mark_of(["a", "b"]) == mark_of(["b", "a"])
    assert len({mark_of(each) for each in ([], ["a"], ["a", "b"], ["ab"], ["a", "b", "c"])}) == 5
    assert marks_of("access", {}) == mark_of([]) * 3


@pytest.mark.parametrize(
    ("form", "title", "labels"),
    [
        (
            "access",
            "Access and notices",
            [
                "Channels in which pictures are made",
                "Roles whose members make pictures",
                "Channel for notices",
            ],
        ),
        (
            "budget",
            "Budget and time zone",
            ["Budget of this server, in credits", "Period of the budget", "Time zone"],
        ),
        (
            "amounts",
            "Amounts",
            [
                "Allowance of each member, in credits",
                "Period of the allowance",
                "Pictures at once",
                "Jobs at once",
                "Time between two requests",
            ],
        ),
        ("models", "Models and pictures", ["Models", "Private pictures", "Edit pictures"]),
    ],
)
def test_a_form_has_its_fields(form: str, title: str, labels: list[str]) -> None:
    data: dict[str, Any] = settings_form(form, GUESTS, {}, CATALOG).to_dict()

    assert data["title"] == title
    assert [each["label"] for each in data["components"]] == labels
    assert all(each["description"] for each in data["components"])


def test_channels_and_roles_are_chosen_in_selects() -> None:
    numbers = [str(each) for each in range(1, 27)]
    found = fields("access", {"channels": numbers, "roles": numbers, "notices": ["3", "4"]})

    for name, most, kind in (("channels", 25, "channel"), ("roles", 25, "role")):
        field = found[name]
        assert (field["min_values"], field["max_values"], field["required"]) == (0, most, False)
        assert field["default_values"] == [
            {"id": each, "type": kind} for each in range(1, most + 1)
        ]
    notices = found["notices"]
    assert (notices["min_values"], notices["max_values"], notices["required"]) == (0, 1, False)
    assert notices["default_values"] == [{"id": 3, "type": "channel"}]


def test_notices_go_only_where_the_bot_can_write() -> None:
    found, kinds = fields("access", {}), discord.ChannelType

    assert found["notices"]["channel_types"] == [kinds.text.value, kinds.news.value]
    assert found["channels"]["channel_types"] == [
        each.value for each in (kinds.text, kinds.news, kinds.voice, kinds.stage_voice, kinds.forum)
    ]


def test_a_text_has_sixty_characters_and_may_be_empty() -> None:
    found = fields("amounts", {"amount": ["1" * 61], "pictures": ["1" * 60], "jobs": []})

    assert [found[name].get("value") for name in ("amount", "pictures", "jobs")] == [
        "1" * 60,
        "1" * 60,
        None,
    ]
    texts = [found[name] for name in ("amount", "pictures", "jobs", "cooldown")]
    assert {(each["max_length"], each["required"]) for each in texts} == {(60, False)}


def test_a_period_and_a_flag_always_have_a_value() -> None:
    period = fields("budget", {"period": ["week"]})["period"]
    flag = fields("models", {"private": ["no"]})["private"]

    assert [each["label"] for each in period["options"]] == ["Day", "Week, from Monday", "Month"]
    assert [each["label"] for each in flag["options"]] == ["Not set", "Allowed", "Not allowed"]
    assert (chosen(period), chosen(flag)) == (["week"], ["no"])
    for field in (period, flag):
        assert (field["min_values"], field["max_values"], field["required"]) == (1, 1, True)


def test_any_number_of_models_is_chosen_also_those_that_are_gone() -> None:
    field = fields("models", {"models": ["b", "gone"]})["models"]

    assert [(each["value"], each["label"]) for each in field["options"]] == [
        ("*", "Every model, later ones too"),
        ("gone", "gone"),
        ("a", "Model a"),
        ("b", "Model b"),
    ]
    assert chosen(field) == ["gone", "b"]
    assert (field["min_values"], field["max_values"], field["required"]) == (0, 4, False)
    every = fields("models", {"models": ["*"]})["models"]
    assert [each["value"] for each in every["options"]] == ["*", "a", "b"]
    assert chosen(every) == ["*"]


def test_a_select_offers_twenty_five_models_with_short_titles() -> None:
    specs = [ModelSpec(f"m{each}", "m", "x" * 101, "m", {}, 0, 1) for each in range(30)]
    options = fields("models", EMPTY, Catalog(specs))["models"]["options"]

    assert [each["value"] for each in options] == ["*", *(f"m{each}" for each in range(24))]
    assert options[1]["label"] == "x" * 99 + "…"


def test_the_raw_values_of_settings() -> None:
    assert raw_settings(ServerSettings()) == {
        "channels": [],
        "roles": [],
        "notices": [],
        "zone": ["UTC"],
        "amount": [],
        "period": ["month"],
    }
    settings = ServerSettings(
        budget=Allowance(amount=7500, period=PeriodKind.WEEK),
        channels=frozenset({30, 4}),
        roles=frozenset({50, 6}),
        notices=7,
        zones=(ZoneChange(NOW, "Europe/Berlin"),),
    )
    assert raw_settings(settings) == {
        "channels": ["4", "30"],
        "roles": ["6", "50"],
        "notices": ["7"],
        "zone": ["Europe/Berlin"],
        "amount": ["7.5"],
        "period": ["week"],
    }


def test_the_raw_values_of_rights() -> None:
    assert EMPTY == {
        "amount": [],
        "period": ["month"],
        "pictures": [],
        "jobs": [],
        "cooldown": [],
        "private": ["unset"],
        "edit": ["unset"],
        "models": [],
    }
    rights = Rights(
        allowance=Allowance(amount=None, period=PeriodKind.DAY),
        models=frozenset({"b", "a"}),
        pictures=0,
        private=False,
        edit=True,
        jobs=1,
        cooldown=0,
    )
    assert raw_rights(rights) == {
        "amount": ["unlimited"],
        "period": ["day"],
        "pictures": ["0"],
        "jobs": ["1"],
        "cooldown": ["0"],
        "private": ["no"],
        "edit": ["yes"],
        "models": ["a", "b"],
    }
    assert raw_rights(Rights(allowance=Allowance(amount=0)))["amount"] == ["0"]


def test_a_submit_changes_only_what_differs_from_the_opening() -> None:
    for form in ("amounts", "models"):
        for rights in (Rights(), READY_MADE["guest"]):
            raw = raw_rights(rights)
            assert changed_of(form, raw, marks_of(form, raw)) == {}
    assert changed("amounts", jobs=["2"]) == {"jobs": 2}
    assert changed("models", edit=["no"], models=["a"]) == {
        "models": frozenset({"a"}),
        "edit": False,
    }
    settings = raw_settings(ServerSettings(channels=frozenset({1}), notices=3))
    emptied = changed_of("access", {}, marks_of("access", settings))
    assert emptied == {"channels": frozenset(), "notices": None}


@pytest.mark.parametrize(
    ("form", "name", "raw", "value"),
    [
        ("amounts", "amount", ["7.5"], 7500),
        ("amounts", "amount", ["unlimited"], Word.UNLIMITED),
        ("amounts", "amount", [" "], Word.UNSET),
        ("amounts", "period", ["day"], PeriodKind.DAY),
        ("amounts", "period", ["year"], PeriodKind.MONTH),
        ("amounts", "pictures", ["0"], 0),
        ("amounts", "pictures", ["10"], 10),
        ("amounts", "pictures", [" "], None),
        ("amounts", "jobs", ["1"], 1),
        ("amounts", "jobs", ["100"], 100),
        ("amounts", "cooldown", ["2m"], 120),
        ("amounts", "cooldown", [" "], None),
        ("models", "private", ["yes"], True),
        ("models", "private", ["no"], False),
        ("models", "private", ["other"], None),
        ("models", "edit", ["yes"], True),
        ("models", "edit", [], None),
        ("models", "models", ["a", "b"], frozenset({"a", "b"})),
        ("models", "models", ["a", "*"], ALL_MODELS),
        ("access", "notices", ["5"], 5),
        ("access", "channels", ["5", "6"], frozenset({5, 6})),
        ("access", "roles", ["5"], frozenset({5})),
        ("budget", "zone", ["europe/berlin"], "Europe/Berlin"),
        ("budget", "zone", [], "UTC"),
    ],
)
def test_a_field_is_read(form: str, name: str, raw: list[str], value: object) -> None:
    opened = {**EMPTY, "zone": ["Asia/Tokyo"]}

    assert changed_of(form, {**opened, name: raw}, marks_of(form, opened)) == {name: value}


def test_models_that_are_all_removed_are_not_set() -> None:
    opened = {**EMPTY, "models": ["a"]}

    assert changed_of("models", EMPTY, marks_of("models", opened)) == {"models": None}


@pytest.mark.parametrize(
    ("name", "typed", "refusal"),
    [
        ("pictures", "11", "“11” is not a number from 0 to 10."),
        ("jobs", "0", "“0” is not a number from 1 to 100."),
        ("jobs", "101", "“101” is not a number from 1 to 100."),
        ("cooldown", "86401", "“86401” is not a time of at most 24 hours."),
        ("amount", "x", "“x” is no amount of credits."),
    ],
)
def test_a_field_that_cannot_be_read_is_refused(name: str, typed: str, refusal: str) -> None:
    with pytest.raises(UserError, match=refusal):
        changed("amounts", **{name: [typed]})


def test_marks_that_are_too_few_for_the_form_change_every_field() -> None:
    """A forged custom_id does not stop the submit: what is compared with no mark is new."""
    assert set(changed_of("models", EMPTY, "")) == {each.name for each in FIELDS["models"]}
