"""Oxen.ai: settings, model and API client."""

from bot.ledger import thousandths
from bot.providers.base import ProviderEntry
from bot.providers.oxen.model import OxenSettings, oxen_spec
from bot.providers.oxen.provider import Oxen

OXEN = ProviderEntry(
    key=Oxen.key,
    key_page="https://www.oxen.ai/settings/profile",
    settings=OxenSettings,
    specs=lambda settings: (oxen_spec(price=thousandths(settings.price)),),
    make=Oxen,
)
