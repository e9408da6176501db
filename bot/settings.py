"""Every setting, from the environment and `.env`; the environment wins."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.errors import StartupError

# Three parts of URL-safe base64; the first is the bot's id.
TOKEN = re.compile(r"[\w-]{10,}\.[\w-]{4,}\.[\w-]{20,}")
DISCORD_API = "https://discord.com/api/v10"


def _address(value: str) -> str:
    HttpUrl(value)
    return value.rstrip("/")


def _ids(value: object) -> object:
    """ "1, 2 3" -> the ids; what else it may be, pydantic judges."""
    return re.split(r"[,\s]+", value.strip(" ,")) if isinstance(value, str) else value


Ids = Annotated[frozenset[int], NoDecode, BeforeValidator(_ids)]
Address = Annotated[str, AfterValidator(_address)]
Credits = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    discord_token: SecretStr | None = None
    discord_api_url: Address = DISCORD_API
    skills_api_key: SecretStr | None = None
    skills_api_url: Address = "https://open.skills.video/api/v1"
    skills_model: str = "qwen/qwen-image-2-pro"
    skills_price: Credits = Decimal(20)
    oxen_api_key: SecretStr | None = None
    oxen_api_url: Address = "https://hub.oxen.ai/api"
    oxen_model: str = "qwen-image-2"
    oxen_price: Credits = Decimal("7.5")
    credits_per_usd: Annotated[Decimal, Field(gt=0, le=1_000_000)] = Decimal(100)
    default_model: str | None = None
    monthly_credits: Credits | None = None
    budget_monthly: Credits | None = None
    servers: Ids = frozenset()
    blocked_users: Ids = frozenset()
    allow_unsafe: bool = False
    user_install: bool = False
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    keep_gb: Annotated[Decimal, Field(gt=0, le=1_000_000)] = Decimal(20)
    job_timeout: Annotated[int, Field(ge=30, le=86_400)] = 600  # seconds
    database_url: str = "sqlite:///data/easel.db"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    log_format: Literal["console", "json"] = "console"

    @classmethod
    def load(cls, env_file: Path | None = Path(".env")) -> "Settings":
        """Read them all; StartupError names the first that is wrong."""
        try:
            return cls(_env_file=env_file)  # type: ignore[call-arg]  # pydantic-settings' own
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = str(first["loc"][0]).upper()
            raise StartupError(f"{name}: {first['msg']}. Correct it in .env.") from None

    @property
    def token(self) -> SecretStr:
        """Discord's token; StartupError where there is none that could be one."""
        where = "https://discord.com/developers/applications, your application, Bot, Reset Token"
        if self.discord_token is None:
            raise StartupError(f"DISCORD_TOKEN is not set. Get one at {where}, and put it in .env.")
        if not TOKEN.fullmatch(self.discord_token.get_secret_value()):
            raise StartupError(f"DISCORD_TOKEN is not a bot's token. Copy it again from {where}.")
        return self.discord_token

    @property
    def keys(self) -> dict[str, SecretStr]:
        """The API keys that are set, by the models' names; StartupError for one that cannot be."""
        given = {"oxen": self.oxen_api_key, "skills": self.skills_api_key}
        return {
            model: _key(f"{model.upper()}_API_KEY", key)
            for model, key in given.items()
            if key is not None
        }

    @property
    def secrets(self) -> list[str]:
        """All that must not be read anywhere, as it was given, also where it is of no use."""
        given = (self.discord_token, self.oxen_api_key, self.skills_api_key)
        return [secret.get_secret_value() for secret in given if secret is not None]

    def check(self) -> None:
        """Raise StartupError where Easel could not start with these."""
        _ = self.token
        self.check_keys()

    def check_keys(self) -> None:
        """Raise StartupError where no service could be asked, or not the one that is named."""
        if not self.keys:
            raise StartupError(
                "No API key is set. Put OXEN_API_KEY or SKILLS_API_KEY in .env; get one at "
                "https://www.oxen.ai/settings/profile or https://skills.video/dashboard/developer."
            )
        if self.default_model is not None and self.default_model not in self.keys:
            raise StartupError(
                f"DEFAULT_MODEL must be one whose key is set: {', '.join(self.keys)}."
            )

    @property
    def timeout(self) -> timedelta:
        return timedelta(seconds=self.job_timeout)


def _key(name: str, value: SecretStr) -> SecretStr:
    """A key goes into a header: one with a line break or a space in it was pasted wrongly."""
    if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
        raise StartupError(f"{name} has a space or a line break in it. Copy it again into .env.")
    return value
