"""The whole configuration: Easel's own settings and those of every registered provider."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from bot.catalog import Catalog, ModelSpec
from bot.errors import StartupError
from bot.ledger import Charge, Charges, thousandths
from bot.providers import PROVIDERS
from bot.providers.base import AnyEntry, Http, Provider
from bot.settings import (
    DISCORD_API,
    ENV_FILE,
    ProviderSettings,
    Settings,
    SettingsGroup,
    host_port,
)


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A registered provider and its settings."""

    entry: AnyEntry
    settings: ProviderSettings

    @property
    def key(self) -> str:
        return self.entry.key

    @property
    def specs(self) -> tuple[ModelSpec, ...]:
        """The models by their tables, with the prices of the settings."""
        return self.entry.specs(self.settings)

    def make(self, http: Http) -> Provider:
        """Return the provider. StartupError if its key is missing or unusable."""
        return self.entry.make(self.settings, http)


@dataclass(frozen=True, slots=True)
class Config:
    """`providers` are all that are registered, with or without a key."""

    core: Settings
    providers: tuple[ProviderConfig, ...]

    @classmethod
    def load(
        cls,
        env_file: Path | None = ENV_FILE,
        values: Mapping[str, object] | None = None,
        entries: Sequence[AnyEntry] = PROVIDERS,
    ) -> "Config":
        """Read every setting. StartupError names the first that is wrong.

        `values`, by environment name in any case, take precedence over environment and file.
        """
        core = Settings.load(env_file, values)
        groups = [ProviderConfig(each, each.settings.load(env_file, values)) for each in entries]
        return cls(core, tuple(groups))

    @property
    def configured(self) -> tuple[ProviderConfig, ...]:
        """The providers whose API key is set."""
        return tuple(each for each in self.providers if each.settings.api_key is not None)

    @property
    def key_names(self) -> dict[str, str]:
        """The settings of the configured providers' API keys, by provider."""
        return {each.key: each.settings.env_name("api_key") for each in self.configured}

    @property
    def service_names(self) -> dict[str, str]:
        """The names of all services for members, by provider."""
        return {each.key: spec.service for each in self.providers for spec in each.specs}

    @property
    def floors(self) -> dict[str, int]:
        """The balances, in thousandths of a credit, under which services get no new jobs."""
        found = {each.key: each.entry.floor(each.settings) for each in self.configured}
        return {key: thousandths(floor) for key, floor in found.items() if floor is not None}

    @property
    def private_hosts(self) -> frozenset[tuple[str, int]]:
        """The hosts that may be private: those of PRIVATE_HOSTS and of the APIs' addresses."""
        hosts = {host_port(each.settings.api_url) for each in self.configured}
        return self.core.private_hosts | hosts | ({self.own_media} if self.own_media else set())

    @property
    def own_media(self) -> tuple[str, int] | None:
        """The host of a DISCORD_API_URL that is not Discord's: it serves the attachments too."""
        url = self.core.discord_api_url
        return None if url == DISCORD_API else host_port(url)

    @property
    def groups(self) -> tuple[SettingsGroup, ...]:
        return (self.core, *(each.settings for each in self.providers))

    @property
    def secrets(self) -> list[str]:
        """Every secret as given, valid or not: none of them may appear in the log."""
        return [secret for group in self.groups for secret in group.secrets]

    def check(self) -> None:
        """Raise StartupError if Easel cannot start with these settings."""
        _ = self.core.token
        self.check_providers()

    def check_providers(self) -> None:
        """Raise StartupError if no provider can be used, or DEFAULT_MODEL is not on offer."""
        if not self.configured:
            names = " or ".join(each.settings.env_name("api_key") for each in self.providers)
            pages = " or ".join(each.entry.key_page for each in self.providers)
            raise StartupError(f"No API key is set. Put {names} in .env; get one at {pages}.")
        for each in self.configured:
            _ = each.settings.key
        offered = [spec.key for each in self.configured for spec in each.specs]
        if self.core.default_model is not None and self.core.default_model not in offered:
            raise StartupError(f"DEFAULT_MODEL must be one whose key is set: {', '.join(offered)}.")

    def charges(self, rates: Iterable[Decimal] = ()) -> Charges:
        """Return how each provider's figures make credits, for the audit of the ledger.

        `rates` are further values of CREDITS_PER_USD, for the time before a change.
        """
        found: dict[str, list[Charge]] = {}
        for each in self.providers:
            credits_of = each.entry.credits_of
            if credits_of is None:
                continue
            others = [{"CREDITS_PER_USD": rate} for rate in rates]
            settings = [each.settings, *(each.entry.settings.load(None, one) for one in others)]
            found[each.key] = [partial(credits_of, one) for one in settings]
        return found

    def make_providers(self, http: Http) -> dict[str, Provider]:
        """Return the configured providers by key."""
        return {each.key: each.make(http) for each in self.configured}

    def make_catalog(self) -> Catalog:
        """Return the models of the configured providers, DEFAULT_MODEL first."""
        return Catalog(
            [spec for each in self.configured for spec in each.specs],
            self.core.default_model,
            known=[spec for each in self.providers for spec in each.specs],
        )
