"""The pages of `/server settings`, as a manager reads them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from bot.periods import Period, PeriodKind, ZoneChange
from bot.rights import Allowance, Rights, ServerSettings, Subject
from bot.store.servers import Granted
from bot.studio.servers import Budget, SubjectRights
from cogs.ui.server import (
    access_view,
    budget_view,
    rights_view,
    roles_view,
    tiers_view,
)
from tests.support.rows import NOW
from tests.support.views import (
    SECONDS,
    Button,
    is_amber,
    rows_of,
    selects_of,
    texts_of,
)

NO_NOTICES = "No channel hears of that: choose one under “Access and notices”."
ENDS = {
    PeriodKind.DAY: NOW + timedelta(days=1),
    PeriodKind.WEEK: NOW + timedelta(days=2),
    PeriodKind.MONTH: NOW + timedelta(days=3),
}
PERIOD = Period(NOW - timedelta(days=1), NOW + timedelta(days=2))
END = SECONDS + 2 * 86_400
SUBJECTS = ["access", "budget", "default", "roles", "tiers"]


def chosen(select: dict[str, Any]) -> list[str]:
    return [each["value"] for each in select["options"] if each["default"]]


def test_access_is_shown_as_it_is_unset_and_set() -> None:
    title, text, hint = texts_of(access_view(ServerSettings()))
    assert title == "### Access and notices"
    assert text == (
        "Channels in which the bot makes pictures: all\n"
        "Roles whose members may make pictures: all\n"
        "Channel for notices: not set"
    )
    assert hint.startswith("-# The channel for notices hears once in a period")

    settings = ServerSettings(channels=frozenset({30, 4}), roles=frozenset({5}), notices=7)
    view = access_view(settings, "Changed.")
    assert texts_of(view)[:3] == [
        "### Access and notices",
        "Changed.",
        "Channels in which the bot makes pictures: <#4>, <#30>\n"
        "Roles whose members may make pictures: <@&5>\n"
        "Channel for notices: <#7>",
    ]
    assert rows_of(view) == [[Button("Change", "easel:server:open:access:server")]]
    assert not is_amber(view)


def test_every_page_has_a_select_of_all_pages_with_itself_chosen() -> None:
    rights = SubjectRights(Subject.DEFAULT, "", Rights(), Rights())
    budget = Budget(ServerSettings(), 0, PERIOD, ENDS)
    pages = [
        access_view(ServerSettings()),
        budget_view(budget, locale=None),
        rights_view(rights, locale=None),
        roles_view([]),
        tiers_view([]),
    ]

    for subject, view in zip(SUBJECTS, pages, strict=True):
        select = selects_of(view)["easel:server:page"]
        assert [each["value"] for each in select["options"]] == SUBJECTS
        assert select["options"][0]["label"] == "Access and notices"
        assert select["placeholder"] == "Show another subject"
        assert chosen(select) == [subject]


def budget(amount: int | None, used: int, notices: int | None = None) -> list[str]:
    settings = ServerSettings(budget=Allowance(amount=amount), notices=notices)
    return texts_of(budget_view(Budget(settings, used, PERIOD, ENDS), locale=None))[2:-1]


def test_the_budget_says_how_much_of_it_is_used() -> None:
    zone = (ZoneChange(NOW, "Asia/Tokyo"),)
    settings = ServerSettings(budget=Allowance(amount=7500, period=PeriodKind.WEEK), zones=zone)
    view = budget_view(Budget(settings, 1500, PERIOD, ENDS), "Changed.", locale="de")
    title, note, text, hint = texts_of(view)

    assert (title, note) == ("### Budget and time zone", "Changed.")
    assert text == (
        "Budget of this server: **7,5 credits a week**\n"
        f"Used since <t:{SECONDS - 86_400}:f>, with what is held: **1,5 credits**\n"
        "Time zone: **Asia/Tokyo**\n"
        f"The day ends <t:{SECONDS + 86_400}:R>, the week <t:{END}:R>, "
        f"the month <t:{SECONDS + 3 * 86_400}:R>."
    )
    assert hint.startswith("-# Weeks begin on Monday.")
    assert rows_of(view) == [[Button("Change", "easel:server:open:budget:server")]]

    unset = texts_of(budget_view(Budget(ServerSettings(), 0, PERIOD, ENDS), locale=None))
    assert len(unset) == 3
    assert unset[1].startswith("Budget of this server: **unlimited**\n")
    assert "Time zone: **UTC**" in unset[1]


@pytest.mark.parametrize(
    ("amount", "used", "warning"),
    [
        (None, 10**9, None),
        (1000, 799, None),
        (1000, 800, f"**80 % or more of the budget are used.** It is renewed <t:{END}:R>."),
        (1000, 999, f"**80 % or more of the budget are used.** It is renewed <t:{END}:R>."),
        (
            1000,
            1000,
            f"**The budget is used up.** No pictures can be made until <t:{END}:f>, unless you "
            "raise the budget.",
        ),
        (0, 0, "**The budget is 0.** No pictures can be made until you raise the budget."),
        (0, 1, "**The budget is 0.** No pictures can be made until you raise the budget."),
    ],
)
def test_a_budget_that_is_nearly_used_says_so_and_whether_a_channel_hears(
    amount: int | None, used: int, warning: str | None
) -> None:
    assert budget(amount, used) == ([warning, NO_NOTICES] if warning else [])
    assert budget(amount, used, notices=7) == ([warning] if warning else [])


OWN = Rights(tier="guest", pictures=2, edit=True)
WHOLE = OWN.over(Rights(allowance=Allowance(amount=40_000), cooldown=60, pictures=1))


def test_rights_of_a_role_say_which_are_those_of_its_tier() -> None:
    view = rights_view(SubjectRights(Subject.ROLE, "5", OWN, WHOLE), "Changed.", locale=None)
    title, note, text, hint = texts_of(view)

    assert (title, note) == ("### Rights of <@&5>", "Changed.")
    assert text == (
        "Allowance of each member: **40 credits a month** (tier guest)\n"
        "Models: **not set**\n"
        "Pictures at once: **2**\n"
        "Private pictures: **not set**\n"
        "Edit pictures: **allowed**\n"
        "Jobs at once: **not set**\n"
        "Time between two requests: **60 s** (tier guest)"
    )
    assert hint.startswith("-# What is not set here is granted by the tier")
    assert rows_of(view) == [
        [
            Button("Change amounts", "easel:server:open:amounts:role:5"),
            Button("Change models and pictures", "easel:server:open:models:role:5"),
        ]
    ]
    selects = selects_of(view)
    assert [*selects] == [
        "easel:server:take:role:5",
        "easel:server:role",
        "easel:server:page",
    ]
    assert chosen(selects["easel:server:page"]) == ["roles"]
    assert selects["easel:server:role"]["placeholder"] == "Show the rights of a role"


@pytest.mark.parametrize(("tier", "value"), [(None, "none"), ("artist", "artist")])
def test_the_tier_of_a_subject_is_chosen_in_a_select(tier: str | None, value: str) -> None:
    rights = Rights(tier=tier)
    view = rights_view(SubjectRights(Subject.DEFAULT, "", rights, rights), locale=None)
    title, _, hint = texts_of(view)

    assert title == "### Default rights"
    assert hint.startswith("-# For every member whose roles have no right of their own.")
    selects = selects_of(view)
    assert [*selects] == ["easel:server:take:default", "easel:server:page"]
    take = selects["easel:server:take:default"]
    assert take["placeholder"] == "Take the rights of a tier"
    assert [(each["value"], each["label"]) for each in take["options"]] == [
        ("none", "No tier"),
        *[(name, name) for name in ("guest", "member", "artist")],
    ]
    assert chosen(take) == [value]
    assert rows_of(view)[0][0].custom_id == "easel:server:open:amounts:default"


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        (True, "-# Changed by this server. Every role that has taken this tier has its rights."),
        (False, "-# As ready-made. Every role that has taken this tier has its rights."),
    ],
)
def test_only_a_changed_tier_can_be_reset(changed: bool, hint: str) -> None:
    rights = SubjectRights(Subject.TIER, "guest", OWN, OWN, changed)
    view = rights_view(rights, locale=None)

    assert texts_of(view)[0] == "### Tier guest"
    assert texts_of(view)[-1] == hint
    assert rows_of(view)[0] == [
        Button("Change amounts", "easel:server:open:amounts:tier:guest"),
        Button("Change models and pictures", "easel:server:open:models:tier:guest"),
        Button("Reset to ready-made", "easel:server:reset:guest", disabled=not changed),
    ]
    selects = selects_of(view)
    assert [*selects] == ["easel:server:tier", "easel:server:page"]
    assert selects["easel:server:tier"]["placeholder"] == "Show a tier"
    assert chosen(selects["easel:server:tier"]) == ["guest"]
    assert chosen(selects["easel:server:page"]) == ["tiers"]


def test_the_page_of_roles_lists_those_with_rights() -> None:
    granted = [Granted(subject, "5", OWN) for subject in Subject]
    hint = "-# A member with several roles has the best of each right."

    assert texts_of(roles_view(granted, "Changed.")) == [
        "### Rights of roles",
        "Changed.",
        "Roles with rights of their own: <@&5>",
        hint,
    ]
    none = roles_view(granted[:2])
    assert texts_of(none)[1:] == [
        "No role has rights of its own: everybody has the default rights.",
        hint,
    ]
    assert [*selects_of(none)] == ["easel:server:role", "easel:server:page"]


def test_roles_that_do_not_fit_are_counted() -> None:
    """Sixty mentions of 23 characters, with what stands between them, have 1,498."""
    granted = [Granted(Subject.ROLE, str(10**18 + each), OWN) for each in range(61)]

    assert "more" not in texts_of(roles_view(granted[:60]))[1]
    assert texts_of(roles_view(granted))[1].endswith(" and 1 more")


@pytest.mark.parametrize(
    ("names", "tiers"), [([], "none"), (["guest"], "guest"), (["guest", "artist"], "guest, artist")]
)
def test_the_page_of_tiers_names_those_that_were_changed(names: Sequence[str], tiers: str) -> None:
    granted = [Granted(Subject.TIER, name, OWN) for name in names]
    view = tiers_view([*granted, Granted(Subject.ROLE, "5", OWN)], "Changed.")

    assert texts_of(view) == [
        "### Tiers",
        "Changed.",
        "A tier is a set of rights that a role, or the default rights, can take. This server has "
        f"changed: {tiers}",
    ]
    assert chosen(selects_of(view)["easel:server:tier"]) == []
