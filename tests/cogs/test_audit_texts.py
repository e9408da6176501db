"""The changes of `/server audit`, the notice of a budget, and the refusal of a form."""

from dataclasses import replace

import discord
import pytest

from bot.rights import Subject
from bot.store.changes import Change
from cogs.ui.server import audit_view, notice_view, typed_in, typed_view
from cogs.ui.server_forms import RawFields, Target
from tests.support.rows import NOW
from tests.support.views import SECONDS, Button, components_of, is_amber, rows_of, texts_of


def test_a_notice_says_how_much_of_the_budget_is_used() -> None:
    view = notice_view(800, 1000, 77, locale="de")

    assert texts_of(view) == [
        "80 % or more of this server's budget are used: 0,8 credits of 1 credit. The budget is "
        "renewed <t:77:R>."
    ]
    assert is_amber(view)


CHANGE = Change(10, 5, NOW, "budget", "1 credit a day", "unlimited", 9)


def test_a_change_is_listed_with_its_manager() -> None:
    view = audit_view([CHANGE, replace(CHANGE, user_id=-7, subject="role <@&3>: jobs", before="*")])

    assert texts_of(view) == [
        "### Changes in this server",
        f"<t:{SECONDS}:f> · <@5> · **budget**\n1 credit a day → unlimited\n"
        f"<t:{SECONDS}:f> · deleted member 0007 · **role <@&3>: jobs**\n\\* → unlimited",
    ]
    assert rows_of(view) == [
        [
            Button("◀ Newest", "easel:server:audit:0"),
            Button("Older ▶", "easel:server:audit:1", disabled=True),
        ]
    ]
    assert texts_of(audit_view([]))[1] == (
        "No changes are listed here. Make one with /server settings."
    )


def test_ten_changes_are_a_page_and_the_button_leads_behind_the_last() -> None:
    changes = [replace(CHANGE, id=each) for each in range(100, 89, -1)]

    assert rows_of(audit_view(changes[:10]))[0][1].disabled
    view = audit_view(changes)
    assert texts_of(view)[1].count("→") == 10
    assert rows_of(view)[0][1] == Button("Older ▶", "easel:server:audit:91")


def test_changes_that_do_not_fit_follow_on_the_next_page() -> None:
    """Beside the value before, a line has 37 characters and its end: 7 of 500 fit."""
    change = replace(CHANGE, before="x" * 462, after="y", subject="zz")
    assert len(texts_of(audit_view([change]))[1]) == 499
    seven = [replace(change, id=each) for each in range(20, 13, -1)]

    assert rows_of(audit_view(seven))[0][1].disabled
    longer = [*seven[:6], replace(seven[6], before="x" * 463)]
    assert rows_of(audit_view(longer))[0][1] == Button("Older ▶", "easel:server:audit:15")


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ("x" * 600, "x" * 600),
        ("x" * 601, "x" * 600 + " …"),
        ("a," + "x" * 599, "a …"),
        ("<@&5>, <#6>, <@7>, <t:8:R> <x> *a*", r"<@&5>, <#6>, <@7>, <t:8:R> \<x\> \*a\*"),
        ("a\nb", "a b"),
    ],
)
def test_of_a_value_only_mentions_and_times_have_a_meaning(before: str, shown: str) -> None:
    text = texts_of(audit_view([replace(CHANGE, before=before)]))[1]

    assert text.split("\n")[1] == f"{shown} → unlimited"


RAW: RawFields = {
    "amount": ["*5*, \\"],
    "period": ["week"],
    "pictures": [],
    "jobs": ["2"],
    "cooldown": ["x" * 60],
    "channels": ["4", "30"],
    "roles": ["5"],
    "notices": ["7"],
    "models": ["a", "b"],
    "private": ["no"],
    "edit": ["unset"],
    "zone": ["Europe/Berlin"],
}


def test_a_refused_form_shows_what_was_typed() -> None:
    view = typed_view("No.", "amounts", Target(Subject.ROLE, "5"), RAW, "abc")

    assert texts_of(view) == [
        "No.",
        "Allowance of each member, in credits: \\*5\\*, \\\\",
        "Period of the allowance: week",
        "Pictures at once: —",
        "Jobs at once: 2",
        f"Time between two requests: {'x' * 60}",
    ]
    assert rows_of(view) == [
        [Button("Open the form again", "easel:server:again:amounts:role:5:abc")]
    ]
    assert is_amber(view)
    mentions = texts_of(typed_view("No.", "access", Target(None), RAW, "abc"))[1:]
    assert [each.partition(": ")[2] for each in mentions] == ["<#4>, <#30>", "<@&5>", "<#7>"]


@pytest.mark.parametrize("form", ["access", "budget", "amounts", "models"])
def test_what_a_refused_form_shows_is_read_again(form: str) -> None:
    view = typed_view("No.", form, Target(None), RAW, "abc")
    components = [
        discord.components._component_factory({**each, "id": number})  # type: ignore[arg-type]
        for number, each in enumerate(components_of(view), start=1)
    ]

    found = typed_in(form, components)
    assert found == {name: RAW[name] for name in found}
    assert len(found) == {"amounts": 5}.get(form, 3)
    assert typed_in(form, []) == {name: [] for name in found}


def test_a_typed_text_is_shortened_in_a_message() -> None:
    def shown(length: int) -> str:
        raw = {**RAW, "amount": ["x" * length]}
        view = typed_view("No.", "amounts", Target(None), raw, "abc")
        return texts_of(view)[1].partition(": ")[2]

    assert shown(1500) == "x" * 1500
    assert shown(1501) == "x" * 1499 + "…"
