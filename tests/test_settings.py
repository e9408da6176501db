from decimal import Decimal
from pathlib import Path

import pytest

from bot.config import Config
from bot.errors import StartupError
from bot.providers.oxen import OXEN
from bot.providers.oxen.model import OxenSettings

TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for group in Config.load(None).groups:
        for name in group.names():
            monkeypatch.delenv(name, raising=False)


def settings(**environment: str) -> Config:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Config.load(None)


def test_a_token_and_one_key_are_enough() -> None:
    settings(DISCORD_TOKEN=TOKEN, OXEN_API_KEY="k").check()


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"OXEN_API_KEY": "k"}, "DISCORD_TOKEN is not set"),
        ({"DISCORD_TOKEN": "", "OXEN_API_KEY": "k"}, "DISCORD_TOKEN is not set"),
        ({"DISCORD_TOKEN": "hello", "OXEN_API_KEY": "k"}, "DISCORD_TOKEN is not a bot's token"),
        ({"DISCORD_TOKEN": TOKEN}, "OXEN_API_KEY"),
        ({"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": "a\nb"}, "OXEN_API_KEY has a space or a line"),
        ({"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": '"k"'}, "OXEN_API_KEY has quotes around it"),
        ({"DISCORD_TOKEN": f"'{TOKEN}'", "OXEN_API_KEY": "k"}, "DISCORD_TOKEN has quotes around"),
        (
            {"DISCORD_TOKEN": TOKEN, "OXEN_API_KEY": "k", "DEFAULT_MODEL": "dall-e"},
            "DEFAULT_MODEL must be one whose key is set: oxen",
        ),
    ],
)
def test_what_is_missing_is_named_with_the_remedy(environment: dict[str, str], says: str) -> None:
    with pytest.raises(StartupError, match=says):
        settings(**environment).check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OXEN_API_URL", "not an address"),
        ("OXEN_PRICE", "-1"),
        ("OXEN_PRICE", "cheap"),
        ("MONTHLY_CREDITS", "-5"),
        ("OXEN_BUDGET_MONTHLY", "-5"),
        ("SKILLS_BUDGET_MONTHLY", "much"),
        ("SKILLS_FLOOR", "-1"),
        ("SKILLS_STREAM", "on"),
        ("SKILLS_STREAM_MAX", "0"),
        ("OPERATOR_SERVER", "here"),
        ("OPERATOR_SERVER", "0"),
        ("PRIVACY_URL", "example.org"),
        ("PRIVACY_URL", "ftp://example.org"),
        ("TERMS_URL", "https://me:secret@example.org"),
        ("SUPPORT_URL", "https://example.org/a b"),
        ("SUPPORT_URL", f"https://example.org/{'a' * 500}"),
        ("JOB_TIMEOUT", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("CREDITS_PER_USD", "0"),
    ],
)
def test_a_wrong_value_is_named_by_its_setting(name: str, value: str) -> None:
    with pytest.raises(StartupError, match=f"^{name}: ") as caught:
        settings(**{name: value})

    assert "\n" not in str(caught.value)


def test_no_secret_is_in_a_refusal() -> None:
    with pytest.raises(StartupError) as caught:
        settings(DISCORD_TOKEN="s3cret-token-that-is-wrong", OXEN_API_KEY="k").check()

    assert "s3cret" not in str(caught.value)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("OXEN_MODEL=from-file\nDEFAULT_MODEL=oxen\n")
    monkeypatch.setenv("OXEN_MODEL", "from-environment")

    loaded = Config.load(file, entries=(OXEN,))

    (oxen,) = (each.settings for each in loaded.providers)
    assert isinstance(oxen, OxenSettings)
    assert (oxen.model, loaded.core.default_model) == ("from-environment", "oxen")


def test_given_values_win_over_the_environment() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDITS_PER_USD", "50")
        patch.setenv("OXEN_PRICE", "3")

        oxen = OxenSettings.load(None, {"credits_per_usd": 80})

    assert (oxen.credits_per_usd, oxen.price) == (Decimal(80), Decimal(3))


def test_every_secret_is_known_also_where_it_is_of_no_use() -> None:
    found = settings(DISCORD_TOKEN="hello", OXEN_API_KEY="a\nb", SKILLS_API_KEY="k").secrets

    assert sorted(found) == ["a\nb", "hello", "k"]


def test_the_names_in_the_environment_do_not_change() -> None:
    names = [name for group in settings().groups for name in group.names()]

    assert {name for name in names if name.startswith(("OXEN_", "SKILLS_", "CREDITS_"))} == {
        *("OXEN_API_KEY", "OXEN_API_URL", "OXEN_MODEL", "OXEN_PRICE", "CREDITS_PER_USD"),
        *("SKILLS_API_KEY", "SKILLS_API_URL", "SKILLS_MODEL", "SKILLS_PRICE"),
        *("OXEN_BUDGET_MONTHLY", "SKILLS_BUDGET_MONTHLY", "SKILLS_FLOOR"),
        *("SKILLS_STREAM", "SKILLS_STREAM_MAX"),
    }
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", set()),
        ("10.0.0.5:8000", {("10.0.0.5", 8000)}),
        ("cdn.lan:80, [fd00::1]:81", {("cdn.lan", 80), ("fd00::1", 81)}),
    ],
)
def test_private_hosts_are_hosts_with_ports(text: str, hosts: set[tuple[str, int]]) -> None:
    assert settings(PRIVATE_HOSTS=text).core.private_hosts == hosts


@pytest.mark.parametrize("text", ["10.0.0.5", "http://10.0.0.5:80", "cdn.lan:x", "cdn.lan:80/a"])
def test_other_private_hosts_are_refused(text: str) -> None:
    with pytest.raises(StartupError, match="PRIVATE_HOSTS"):
        settings(PRIVATE_HOSTS=text)
