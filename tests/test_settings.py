from pathlib import Path

import pytest

from bot.errors import StartupError
from bot.settings import Settings

TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**environment: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Settings.load(None)


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

    loaded = Settings.load(file)

    assert (loaded.oxen_model, loaded.default_model) == ("from-environment", "oxen")
