"""The rate limits that Discord's headers announce."""

import pytest

from cogs.delivery.rate_limits import RateLimits

POSTS = "/api/v10/channels/20/messages"
USED_UP = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "4.5"}


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def limits(seconds: Seconds) -> RateLimits:
    return RateLimits(seconds)


def test_a_channel_is_limited_until_the_reset(limits: RateLimits, seconds: Seconds) -> None:
    limits.note(POSTS, 200, USED_UP)

    assert limits.channels() == {20: 4.5}
    seconds.now += 4.4
    assert limits.channels()[20] == pytest.approx(0.1)
    seconds.now += 0.1
    assert limits.channels() == {}


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, USED_UP | {"X-RateLimit-Reset-After": "30"}),
        (429, {"Retry-After": "30", "Via": "1.1 x"}),
    ],
    ids=["used up", "refused"],
)
def test_a_channel_is_limited_for_the_longest_wait_of_discord_py(
    limits: RateLimits, status: int, headers: dict[str, str]
) -> None:
    limits.note(POSTS, status, headers)

    assert limits.channels() == {20: 30}


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        (POSTS, 200, {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "4.5"}),
        (POSTS, 200, {}),
        (POSTS, 200, {"X-RateLimit-Remaining": "0"}),
        (POSTS, 200, USED_UP | {"X-RateLimit-Reset-After": "inf"}),
        (POSTS, 200, USED_UP | {"X-RateLimit-Reset-After": "-1"}),
        (POSTS, 200, USED_UP | {"X-RateLimit-Reset-After": "31"}),
        (POSTS, 429, {"Retry-After": "3"}),  # of a proxy: discord.py raises an error
        (POSTS, 429, {"Retry-After": "31", "Via": "1.1 x"}),  # too long for discord.py
        (f"{POSTS}/30", 200, USED_UP),  # an edit
        ("/api/v10/webhooks/1/token", 200, USED_UP),
    ],
    ids=str,
)
def test_all_else_limits_no_channel(
    limits: RateLimits, path: str, status: int, headers: dict[str, str]
) -> None:
    limits.note(path, status, headers)

    assert limits.channels() == {}


def test_a_refusal_of_discord_limits_the_channel(limits: RateLimits) -> None:
    limits.note(POSTS, 429, {"Retry-After": "3", "Via": "1.1 x"})
    limits.note(POSTS.replace("20", "21"), 429, {"Via": "1.1 x"})

    assert limits.channels() == {20: 3.0, 21: 1.0}


def test_the_posts_to_a_channel_learn_that_they_wait(limits: RateLimits) -> None:
    told: list[str] = []
    with (
        limits.posting(20, lambda: told.append("here")),
        limits.posting(21, lambda: told.append("there")),
    ):
        with limits.posting(20, lambda: told.append("ended")):
            pass
        limits.note(POSTS, 200, USED_UP)

    limits.note(POSTS, 200, USED_UP)
    assert told == ["here"]


def test_a_post_to_a_limited_channel_waits_from_its_beginning(
    limits: RateLimits, seconds: Seconds
) -> None:
    """A result may fall back to a channel that is limited already."""
    told: list[str] = []
    limits.note(POSTS, 200, USED_UP)
    with limits.posting(21, lambda: told.append("there")):
        assert told == []
    with limits.posting(20, lambda: told.append("here")):
        assert told == ["here"]
    seconds.now += 5
    with limits.posting(20, lambda: told.append("later")):
        assert told == ["here"]
