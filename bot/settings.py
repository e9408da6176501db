"""Settings from the environment and `.env`; the environment takes precedence.

`Settings` holds those of Easel itself. Each provider's folder has a group of its own, derived from
`ProviderSettings`; `bot/config.py` loads all of them together.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.errors import StartupError
from bot.proxies import SHORTEST_PASSWORD, Proxies, proxy_url, secrets_of
from bot.pseudonyms import SHORTEST_KEY

ENV_FILE = Path(".env")
DISCORD_API = "https://discord.com/api/v10"
LONGEST_PAGE = 500  # characters of an address that messages show
PICTURE_SCHEMES = {"file": "file:///", "s3": "s3://", "gs": "gs://", "az": "az://"}


class UnreadableFile(StartupError):
    """The file of the settings is there, and cannot be read as text."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path} {problem}. {remedy}")
        self.problem = f"{problem}. {remedy}"


def check_file(path: Path) -> None:
    """Raise UnreadableFile for a folder, a file without permission, and one that is not UTF-8."""
    if path.is_fifo() or path.is_socket():
        raise UnreadableFile(path, "is no file", "Remove it, and write the settings into a file.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if "\0" in text:  # UTF-16 without its mark reads as UTF-8
            raise UnreadableFile(path, "is not UTF-8 text", "Save it again as UTF-8.")
    except FileNotFoundError:
        return
    except IsADirectoryError:
        raise UnreadableFile(
            path, "is a folder", "Remove it, and write the settings into a file of this name."
        ) from None
    except OSError as error:
        raise UnreadableFile(
            path, f"cannot be read: {error.strerror}", "Allow the user that runs Easel to read it."
        ) from None
    except UnicodeDecodeError:
        raise UnreadableFile(path, "is not UTF-8 text", "Save it again as UTF-8.") from None


def _address(value: str) -> str:
    url = HttpUrl(value)
    # pydantic accepts one slash as well, and then there is no host for others.
    if not re.match(r"https?://[^/]", value, re.IGNORECASE):
        raise ValueError("must begin with http:// or https://")
    if url.username is not None or url.password is not None:  # which the key's header excludes
        raise ValueError("must have no user name and no password")
    if url.query is not None or url.fragment is not None:
        raise ValueError("must end with its path")
    return value.rstrip("/")


def host_port(url: str) -> tuple[str, int]:
    """Return the host and the port of a checked address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _pictures_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in PICTURE_SCHEMES:
        raise ValueError(f"must begin with one of {', '.join(PICTURE_SCHEMES.values())}")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ValueError("must end with its path")
    if "@" in parts.netloc or ":" in parts.netloc:
        raise ValueError("must have no user name, no password and no port")
    if parts.scheme == "file":
        if parts.netloc or len(parts.path) < 2:
            raise ValueError("must name a folder from the root, such as file:///srv/pictures")
    elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", parts.netloc):
        raise ValueError(f"must name a bucket, such as {parts.scheme}://bucket/prefix")
    path = parts.path.removeprefix("/").removesuffix("/")
    if path and any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError("must have no empty part, and no . or .. in its path")
    return value.rstrip("/")


def _ids(value: object) -> object:
    """Split "1, 2 3" into ids; pydantic validates them, and any other type of value."""
    return re.split(r"[,\s]+", value.strip(" ,")) if isinstance(value, str) else value


def _places(value: object) -> object:
    """Split "cdn.lan:8000, [fd00::1]:80" into hosts with their ports."""
    if not isinstance(value, str):
        return value
    found = [urlsplit(f"//{each}") for each in re.split(r"[,\s]+", value.strip(" ,")) if each]
    if any(not each.hostname or not each.port or each.path for each in found):
        raise ValueError("not a list of hosts with their ports, such as 10.0.0.5:8000")
    return [(each.hostname, each.port) for each in found]


def _passwords_of(database_url: str) -> list[str]:
    """Return the texts by which the log would show the password of a database."""
    try:
        parts = urlsplit(database_url)
        found = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        return [database_url]
    passwords = [each for each in found if each]
    forms = [*passwords, *(unquote(each) for each in passwords)]
    return [database_url, *(each for each in forms if len(each) >= SHORTEST_PASSWORD)] * bool(forms)


def _proxy(value: SecretStr) -> SecretStr:
    proxy_url(value.get_secret_value())
    return value


def _page(value: str) -> str:
    url = HttpUrl(value)
    if not re.match(r"https?://[^/]", value, re.IGNORECASE):
        raise ValueError("must begin with http:// or https://")
    if url.username is not None or url.password is not None:
        raise ValueError("must have no user name and no password")
    if len(value) > LONGEST_PAGE:
        raise ValueError(f"must have at most {LONGEST_PAGE} characters")
    if re.search(r"[\s<>]", value):
        raise ValueError("must have no spaces and no angle brackets")
    return value


Ids = Annotated[frozenset[int], NoDecode, BeforeValidator(_ids)]
Places = Annotated[frozenset[tuple[str, int]], NoDecode, BeforeValidator(_places)]
Address = Annotated[str, AfterValidator(_address)]
Page = Annotated[str, AfterValidator(_page)]
PicturesUrl = Annotated[str, AfterValidator(_pictures_url)]
Proxy = Annotated[SecretStr, AfterValidator(_proxy)]  # the address may hold a password
MaxJobs = Annotated[int, Field(ge=1, le=10_000)] | Literal["unlimited"]
Credits = Annotated[Decimal, Field(ge=0, le=1_000_000)]


def is_quoted(secret: SecretStr) -> bool:
    """Return whether quotes are part of the value, as with `docker run --env-file`."""
    value = secret.get_secret_value()
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"


class SettingsGroup(BaseSettings):
    """Settings whose environment names share a prefix: `OXEN_PRICE` is `price` of its group."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # some editors begin a file with a mark
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a wrong value may be a secret
    )

    @field_validator("*", mode="before")
    @classmethod
    def _encodable(cls, value: object) -> object:
        """Refuse bytes of the environment that are not UTF-8: Python reads them as surrogates."""
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            raise ValueError("is not UTF-8 text")
        return value

    @classmethod
    def prefix(cls) -> str:
        """Return the prefix of the environment names; empty for Easel's own settings."""
        return str(cls.model_config.get("env_prefix", ""))

    @classmethod
    def env_name(cls, field: str) -> str:
        """Return a field's name in the environment."""
        info = cls.model_fields.get(field)
        alias = info.validation_alias if info else field
        return alias.upper() if isinstance(alias, str) else f"{cls.prefix()}{field}".upper()

    @classmethod
    def names(cls) -> Mapping[str, str]:
        """Return the fields by their names in the environment."""
        return {cls.env_name(field): field for field in cls.model_fields}

    @classmethod
    def read(cls, env_file: Path | None, values: Mapping[str, object]) -> Self:
        """Read all settings of the group. ValidationError for those that are wrong, UnreadableFile.

        `values`, by environment name in any case, take precedence over environment and file.
        """
        if env_file is not None:
            check_file(env_file)
        # An argument is named like the field, or like its alias if there is one.
        arguments = {
            name: name if cls.model_fields[field].validation_alias else field
            for name, field in cls.names().items()
        }
        given = {
            arguments[name.upper()]: value
            for name, value in values.items()
            if name.upper() in arguments
        }
        return cls(_env_file=env_file, **given)  # type: ignore[call-arg]  # pydantic-settings' own

    @classmethod
    def load(
        cls, env_file: Path | None = ENV_FILE, values: Mapping[str, object] | None = None
    ) -> Self:
        """Read all settings of the group. StartupError names the first that is wrong."""
        try:
            return cls.read(env_file, values or {})
        except ValidationError as error:
            name, problem = next(iter(cls.problems(error).items()))
            raise StartupError(f"{name}: {problem}. Correct it in .env.") from None

    @classmethod
    def problems(cls, error: ValidationError) -> dict[str, str]:
        """Return the messages of an error by environment name, without the values."""
        found = error.errors(include_url=False, include_input=False)
        return {cls.env_name(str(each["loc"][0])): str(each["msg"]) for each in found}

    @property
    def secrets(self) -> list[str]:
        """Every secret as given, valid or not: none of them may appear in the log."""
        values = (getattr(self, field) for field in type(self).model_fields)
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


class ProviderSettings(SettingsGroup):
    """The settings that every provider has. A derived class sets `env_prefix` and defaults."""

    api_key: SecretStr | None = None
    api_url: Address
    budget_monthly: Credits | None = None

    @property
    def key(self) -> SecretStr:
        """The API key. StartupError if there is none that can be sent in a header."""
        name = self.env_name("api_key")
        if self.api_key is None:
            raise StartupError(f"{name} is not set. Put it in .env.")
        if is_quoted(self.api_key):
            raise StartupError(f"{name} has quotes around it. Remove them where it is set.")
        # A key with a line break or a space was pasted wrongly.
        if not re.fullmatch(r"[\x21-\x7e]+", self.api_key.get_secret_value()):
            raise StartupError(
                f"{name} has a space or a line break in it. Copy it again into .env."
            )
        return self.api_key


class Settings(SettingsGroup):
    """Easel's own settings: those of Discord, quotas, storage, logging and HTTP."""

    discord_token: SecretStr | None = None
    discord_api_url: Address = DISCORD_API
    default_model: str | None = None
    monthly_credits: Credits | None = None
    budget_monthly: Credits | None = None
    max_jobs: MaxJobs = 5
    servers: Ids = frozenset()
    blocked_users: Ids = frozenset()
    allow_unsafe: bool = False
    edit_others: bool = False
    user_install: bool = False
    operator_server: Annotated[int, Field(gt=0, lt=2**63)] | None = None
    privacy_url: Page | None = None
    terms_url: Page | None = None
    support_url: Page | None = None
    embed_recipe: bool = False
    private_hosts: Places = frozenset()
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    keep_prompts_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    keep_gb: Annotated[Decimal, Field(gt=0, le=1_000_000)] = Decimal(20)
    job_timeout: Annotated[int, Field(ge=30, le=86_400)] = 600  # seconds
    database_url: Annotated[str, Field(repr=False)] = (
        "sqlite:///data/easel.db"  # may hold a password
    )
    pictures_url: PicturesUrl | None = None
    pseudonym_key: Annotated[SecretStr, Field(min_length=SHORTEST_KEY)] | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    log_format: Literal["console", "json"] = "console"
    http_proxy: Proxy | None = None
    https_proxy: Proxy | None = None
    no_proxy: str = ""

    @property
    def proxies(self) -> Proxies:
        plain, secure = (
            None if each is None else proxy_url(each.get_secret_value())
            for each in (self.http_proxy, self.https_proxy)
        )
        return Proxies(plain, secure, self.no_proxy)

    @property
    def secrets(self) -> list[str]:
        """Every secret, and the passwords in addresses in each form that an error may have."""
        given = (each for each in (self.http_proxy, self.https_proxy) if each is not None)
        forms = (form for each in given for form in secrets_of(each.get_secret_value()))
        return [*super().secrets, *forms, *_passwords_of(self.database_url)]

    @property
    def token(self) -> SecretStr:
        """The token of the Discord bot. StartupError if there is none that can be valid."""
        page = "https://discord.com/developers/applications, your application, Bot, Reset Token"
        if self.discord_token is None:
            raise StartupError(f"DISCORD_TOKEN is not set. Get one at {page}, and put it in .env.")
        if is_quoted(self.discord_token):
            raise StartupError("DISCORD_TOKEN has quotes around it. Remove them where it is set.")
        # Three parts of URL-safe base64; the first is the bot's id.
        parts = r"[\w-]{10,}\.[\w-]{4,}\.[\w-]{20,}"
        if not re.fullmatch(parts, self.discord_token.get_secret_value()):
            raise StartupError(f"DISCORD_TOKEN is not a bot's token. Copy it again from {page}.")
        return self.discord_token

    @property
    def timeout(self) -> timedelta:
        """The longest time that a job may run."""
        return timedelta(seconds=self.job_timeout)
