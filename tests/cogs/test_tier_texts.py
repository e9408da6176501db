"""The replies of `/credits tier`, as a manager reads them."""

import pytest

from bot.catalog import Catalog
from bot.periods import PeriodKind
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from bot.rights import ALL_MODELS, Allowance, Rights
from bot.studio.tiers import Tier, TierTaken
from cogs.ui.credits import tier_view, tiers_view
from tests.support.views import texts_of

WEEKLY = Allowance(amount=100_000, period=PeriodKind.WEEK)
RIGHTS = Rights(
    allowance=WEEKLY, models=ALL_MODELS, pictures=1, private=True, edit=True, jobs=1, cooldown=1
)


@pytest.mark.parametrize(
    ("rights", "text"),
    [
        (
            RIGHTS,
            "allowance 100 credits a week · all models · 1 picture at once · private pictures · "
            "/edit · 1 job at once · 1 second between requests",
        ),
        (
            Rights(
                models=frozenset({"skills", "oxen", "gone"}),
                pictures=0,
                private=False,
                edit=False,
                jobs=2,
                cooldown=2,
            ),
            "models: gone, Qwen Image 2 Pro at Oxen.ai, Qwen Image 2 Pro at skills.video · "
            "0 pictures at once · no private pictures · no /edit · 2 jobs at once · "
            "2 seconds between requests",
        ),
        (
            Rights(pictures=2, models=frozenset({"*", "oxen"}), cooldown=0),
            "all models · 2 pictures at once",
        ),
    ],
)
def test_a_tier_lists_its_rights(rights: Rights, text: str) -> None:
    catalog = Catalog([oxen_spec(price=7500), skills_spec(price=20_000)])
    tier = Tier("guest", rights, changed=False)

    assert texts_of(tiers_view([tier, tier], catalog, locale=None)) == [
        "### Tiers",
        *[f"**guest**\n{text}\n-# Not taken by any role"] * 2,
        "-# /server settings changes the rights of a tier.",
    ]


@pytest.mark.parametrize(
    ("roles", "is_default", "taken"),
    [
        ((), False, "Not taken by any role"),
        ((), True, "Taken by the default of this server"),
        ((7,), False, "Taken by <@&7>"),
        ((7, 8), True, "Taken by <@&7>, <@&8>, the default of this server"),
    ],
)
def test_a_tier_says_who_has_taken_it(roles: tuple[int, ...], is_default: bool, taken: str) -> None:
    tier = Tier("guest", Rights(pictures=1), True, roles, is_default)

    assert texts_of(tiers_view([tier], Catalog([]), locale=None))[1] == (
        f"**guest** (changed by this server)\n1 picture at once\n-# {taken}"
    )


def test_ten_roles_of_a_tier_are_listed() -> None:
    for number, shown in ((10, 10), (11, 10)):
        tier = Tier("guest", Rights(pictures=1), False, range(1, number + 1))
        text = texts_of(tiers_view([tier], Catalog([]), locale=None))[1]
        assert text.count("<@&") == shown


@pytest.mark.parametrize(
    ("taken", "text"),
    [
        (TierTaken(None, "guest", own=False), "{} now has the tier **guest**."),
        (TierTaken("artist", "guest", own=False), "{} now has the tier **guest**."),
        (TierTaken("guest", "guest", own=False), "{} has the tier **guest** already."),
        (TierTaken("guest", None, own=True), "{} no longer has the tier **guest**."),
        (TierTaken(None, None, own=True), "{} has no tier."),
        (
            TierTaken(None, "guest", own=True),
            "{} now has the tier **guest**.\nRights that were set for it besides take precedence.",
        ),
    ],
)
def test_the_answer_to_a_tier_that_was_taken_or_dropped(taken: TierTaken, text: str) -> None:
    assert texts_of(tier_view(taken, 7)) == [text.format("<@&7>")]
    assert texts_of(tier_view(taken, None)) == [text.format("The default of this server")]
