"""Rights: the best of the roles, the order of the subjects, and each refusal."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.errors import UserError
from bot.periods import PeriodKind, ZoneChange
from bot.rights import (
    ALL_MODELS,
    MOST_COOLDOWN,
    MOST_CREDITS,
    READY_MADE,
    RIGHTS,
    Allowance,
    ChannelNotAllowed,
    EditNotAllowed,
    ModelNotAllowed,
    PicturesNotAllowed,
    Policy,
    PrivateNotAllowed,
    Rights,
    RoleNotAllowed,
    ServerSettings,
    TooManyPictures,
    best_of,
)

DAY, WEEK, MONTH = PeriodKind
FULL = Rights(
    tier="artist",
    allowance=Allowance(amount=5000, period=DAY),
    models=frozenset({"oxen"}),
    pictures=3,
    private=False,
    edit=True,
    jobs=2,
    cooldown=30,
)
OTHER = Rights(
    allowance=Allowance(amount=1, period=MONTH),
    models=ALL_MODELS,
    pictures=0,
    private=True,
    edit=False,
    jobs=1,
    cooldown=0,
)


def policy(
    settings: ServerSettings | None = None,
    *,
    own: Rights | None = None,
    roles: tuple[Rights, ...] = (),
    default: Rights | None = None,
    tiers: Mapping[str, Rights] | None = None,
) -> Policy:
    return Policy.of(
        settings or ServerSettings(),
        own=own or Rights(),
        roles=roles,
        default=default or Rights(),
        tiers=tiers or {},
    )


@pytest.mark.parametrize(
    ("name", "worse", "better"),
    [
        ("allowance", Allowance(amount=0), Allowance(amount=1)),
        ("allowance", Allowance(amount=MOST_CREDITS), Allowance(amount=None)),
        ("allowance", Allowance(amount=300, period=MONTH), Allowance(amount=10, period=DAY)),
        ("allowance", Allowance(amount=10, period=DAY), Allowance(amount=71, period=WEEK)),
        ("allowance", Allowance(amount=69, period=WEEK), Allowance(amount=10, period=DAY)),
        ("allowance", Allowance(amount=43, period=WEEK), Allowance(amount=187, period=MONTH)),
        # As large: that of the longer period.
        ("allowance", Allowance(amount=1, period=DAY), Allowance(amount=7, period=WEEK)),
        ("allowance", Allowance(amount=0, period=DAY), Allowance(amount=0, period=WEEK)),
        ("allowance", Allowance(amount=None, period=WEEK), Allowance(amount=None, period=MONTH)),
        ("models", frozenset(), frozenset({"oxen"})),
        ("models", frozenset({"oxen"}), frozenset({"oxen", "skills"})),
        ("pictures", 0, 4),
        ("private", False, True),
        ("edit", False, True),
        ("jobs", 1, 5),
        ("cooldown", 60, 59),
        ("cooldown", 1, 0),
    ],
)
def test_the_better_of_two_roles_counts_in_any_order(name: str, worse: Any, better: Any) -> None:  # noqa: ANN401
    for pair in permutations((worse, better)):
        found = best_of(Rights(**{name: each}) for each in pair)
        assert found == Rights(**{name: better})


def test_models_of_several_roles_add_up() -> None:
    roles = [Rights(models=frozenset({each})) for each in ("oxen", "skills")]

    assert best_of(roles).models == frozenset({"oxen", "skills"})


def test_each_right_is_the_best_by_itself() -> None:
    assert best_of([FULL, OTHER]) == Rights(
        allowance=Allowance(amount=5000, period=DAY),
        models=frozenset({"oxen", "*"}),
        pictures=3,
        private=True,
        edit=True,
        jobs=2,
        cooldown=0,
    )
    assert best_of([]) == Rights()
    assert best_of([Rights(), FULL]) == FULL.model_copy(update={"tier": None})


def test_a_right_that_is_not_set_is_that_of_the_base() -> None:
    assert Rights().over(FULL) == FULL.model_copy(update={"tier": None})
    assert FULL.over(OTHER) == FULL
    for name in RIGHTS:
        one = Rights(**{name: getattr(OTHER, name)})
        assert getattr(one.over(FULL), name) == getattr(OTHER, name)  # also 0, False and none
        assert one.over(Rights()) == one


def test_ones_own_rights_come_before_those_of_roles_and_these_before_the_default() -> None:
    own = Rights(pictures=1, private=False)
    roles = (Rights(pictures=2, jobs=2, private=True), Rights(pictures=3, edit=False))
    default = Rights(pictures=10, jobs=9, cooldown=5, edit=True)

    rights = policy(own=own, roles=roles, default=default).rights
    assert rights == Rights(pictures=1, private=False, jobs=2, edit=False, cooldown=5)
    # The default is no role: it is worse or better, and counts only where no role says anything.
    assert policy(roles=roles, default=default).rights.pictures == 3
    assert policy(default=default).rights == default


@pytest.mark.parametrize("tier", READY_MADE)
def test_a_tier_gives_what_its_subject_does_not_set(tier: str) -> None:
    ready = READY_MADE[tier]
    taken = Rights(tier=tier, pictures=7)
    expected = ready.model_copy(update={"pictures": 7})

    for found in (policy(own=taken), policy(roles=(taken,)), policy(default=taken)):
        assert {name: getattr(found.rights, name) for name in RIGHTS} == {
            name: getattr(expected, name) for name in RIGHTS
        }


def test_a_tier_of_a_role_is_better_than_another_roles_own_rights() -> None:
    found = policy(roles=(Rights(tier="guest"), Rights(pictures=5, cooldown=90))).rights

    assert (found.pictures, found.cooldown, found.jobs) == (5, 60, 1)
    assert found.allowance == READY_MADE["guest"].allowance


def test_a_changed_tier_replaces_the_ready_made_one() -> None:
    tiers = {"guest": Rights(pictures=4)}

    assert policy(roles=(Rights(tier="guest"),), tiers=tiers).rights == Rights(pictures=4)
    assert policy(roles=(Rights(tier="member"),), tiers=tiers).rights.pictures == 2


def test_a_tier_that_is_gone_gives_nothing() -> None:
    assert policy(default=Rights(tier="patron", jobs=3)).rights.jobs == 3
    assert policy(default=Rights(tier="patron")).rights.allowance is None


def request(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    usual: dict[str, Any] = {
        "channel_ids": (20, 0),
        "role_ids": frozenset({7}),
        "model": "oxen",
        "count": 1,
        "private": False,
        "edits": False,
    }
    return usual | changes


def test_what_nobody_has_set_is_unlimited() -> None:
    Policy().check(**request(count=10, private=True, edits=True, role_ids=frozenset()))
    policy(own=Rights(models=ALL_MODELS)).check(**request(model="whatever"))


CASES: list[tuple[ServerSettings, Rights, dict[str, Any], type[UserError], str]] = [
    # from the first check to the last: settings, rights, the request, and the words
    (ServerSettings(channels=frozenset({21, 22})), Rights(), {}, ChannelNotAllowed, "<#21>, <#22>"),
    (ServerSettings(roles=frozenset({8})), Rights(), {}, RoleNotAllowed, "<@&8>"),
    (ServerSettings(), Rights(pictures=0), {}, PicturesNotAllowed, "may not make pictures"),
    (ServerSettings(), Rights(edit=False), {"edits": True}, EditNotAllowed, "Use /imagine"),
    (ServerSettings(), Rights(private=False), {"private": True}, PrivateNotAllowed, "/my notify"),
    (
        ServerSettings(),
        Rights(models=frozenset({"skills", "other"})),
        {},
        ModelNotAllowed,
        "may not use oxen in this server. Choose one of these: other, skills.",
    ),
    (ServerSettings(), Rights(pictures=2), {"count": 3}, TooManyPictures, "pictures at once is 2"),
]


@pytest.mark.parametrize(("settings", "rights", "changes", "refusal", "words"), CASES)
def test_each_right_has_its_refusal(
    settings: ServerSettings,
    rights: Rights,
    changes: dict[str, Any],
    refusal: type[UserError],
    words: str,
) -> None:
    with pytest.raises(refusal) as refused:
        Policy(settings=settings, rights=rights).check(**request(**changes))

    assert words in str(refused.value)


@pytest.mark.parametrize("first", range(len(CASES) - 1))
def test_the_refusals_come_in_their_order(first: int) -> None:
    """A refusal of the place comes before one of the member, and that before the request's."""
    settings, rights = ServerSettings(), Rights()
    changes: dict[str, Any] = {}
    for of_server, of_member, asked, _, _ in reversed(CASES[first:]):
        given = {name: getattr(of_server, name) for name in of_server.model_fields_set}
        settings = settings.model_copy(update=given)
        rights = of_member.over(rights)
        changes |= asked

    with pytest.raises(CASES[first][3]):
        Policy(settings=settings, rights=rights).check(**request(**changes))


def test_what_is_allowed_exactly_passes() -> None:
    settings = ServerSettings(channels=frozenset({20}), roles=frozenset({7, 8}))
    rights = Rights(
        pictures=2,
        models=frozenset({"oxen"}),
        private=True,
        edit=True,
        allowance=Allowance(amount=0),
    )

    allowed = Policy(settings=settings, rights=rights)
    allowed.check(**request(count=2, private=True, edits=True))
    allowed.check(**request(channel_ids=(31, 20)))  # a thread of the channel
    with pytest.raises(RoleNotAllowed):
        allowed.check(**request(role_ids=frozenset()))


def test_no_model_at_all_names_none() -> None:
    with pytest.raises(ModelNotAllowed) as refused:
        policy(own=Rights(models=frozenset())).check(**request())

    assert str(refused.value).endswith("in this server. Ask a manager of this server.")


def test_a_long_list_of_channels_is_cut() -> None:
    settings = ServerSettings(channels=frozenset(range(100, 130)))
    with pytest.raises(ChannelNotAllowed) as refused:
        Policy(settings=settings).check(**request())

    assert str(refused.value).count("<#") == 10
    assert "and 20 more" in str(refused.value)


ALLOWANCES = st.builds(
    Allowance,
    amount=st.none() | st.integers(0, MOST_CREDITS),
    period=st.sampled_from(PeriodKind),
)
ANY_RIGHTS = st.builds(
    Rights,
    tier=st.none() | st.sampled_from([*READY_MADE]),
    allowance=st.none() | ALLOWANCES,
    models=st.none() | st.frozensets(st.sampled_from(["oxen", "skills", "*"])),
    pictures=st.none() | st.integers(0, 10),
    private=st.none() | st.booleans(),
    edit=st.none() | st.booleans(),
    jobs=st.none() | st.integers(1, 100),
    cooldown=st.none() | st.integers(0, MOST_COOLDOWN),
)


@given(st.lists(ANY_RIGHTS, max_size=4), st.randoms())
def test_the_order_of_the_roles_does_not_matter(roles: list[Rights], random: Any) -> None:  # noqa: ANN401
    shuffled = [*roles]
    random.shuffle(shuffled)

    assert best_of(shuffled) == best_of(roles)
    assert best_of([*roles, *roles]) == best_of(roles)


@given(ANY_RIGHTS)
def test_stored_rights_are_read_as_they_were(rights: Rights) -> None:
    assert Rights.model_validate(rights.model_dump(mode="json", exclude_defaults=True)) == rights
    assert Rights.model_validate_json(rights.model_dump_json()) == rights
    assert rights.is_empty is (rights == Rights())


def test_stored_settings_are_read_as_they_were() -> None:
    settings = ServerSettings(
        budget=Allowance(amount=None, period=WEEK),
        channels=frozenset({2**63 - 1}),
        roles=frozenset({1, 2}),
        notices=5,
        zones=(
            ZoneChange(datetime(2026, 11, 27, 12, 0, 0, 1, tzinfo=UTC), "Europe/Berlin"),
            ZoneChange(datetime(2026, 11, 28, tzinfo=UTC), "UTC"),
        ),
    )
    stored = settings.model_dump(mode="json")

    assert ServerSettings.model_validate(stored) == settings
    assert isinstance(ServerSettings.model_validate(stored).zones[0], ZoneChange)
    assert settings.zone == "UTC"
    assert ServerSettings().zone == "UTC"
    assert ServerSettings(zones=settings.zones[:1]).zone == "Europe/Berlin"


def test_names_of_a_newer_version_are_ignored_at_every_depth() -> None:
    assert Rights.model_validate({"pictures": 2, "videos": 1}) == Rights(pictures=2)
    stored = {"allowance": {"amount": 5, "period": "day", "rollover": True}}
    assert Rights.model_validate(stored).allowance == Allowance(amount=5, period=DAY)
    assert ServerSettings.model_validate({"theme": "dark"}) == ServerSettings()
    assert Allowance.model_validate({"amount": 5}).period is MONTH


@pytest.mark.parametrize(
    "stored",
    [
        {"pictures": 11},
        {"pictures": -1},
        {"jobs": 0},
        {"jobs": 101},
        {"cooldown": MOST_COOLDOWN + 1},
        {"allowance": {"amount": -1}},
        {"allowance": {"amount": MOST_CREDITS + 1}},
        {"allowance": {"amount": 1, "period": "year"}},
        {"allowance": {}},
    ],
)
def test_values_out_of_range_are_never_taken(stored: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rights.model_validate(stored)
