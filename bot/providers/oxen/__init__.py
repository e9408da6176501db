"""Oxen.ai: settings, model and API client."""

from bot.ledger import thousandths
from bot.providers.base import ProviderEntry
from bot.providers.oxen.model import OxenSettings, oxen_spec
from bot.providers.oxen.provider import Oxen, credits_of

OXEN = ProviderEntry(
    key=Oxen.key,
    key_page="https://www.oxen.ai/settings/profile",
    settings=OxenSettings,
    specs=lambda settings: (oxen_spec(price=thousandths(settings.price), model=settings.model),),
    make=Oxen,
    credits_of=lambda settings, figures: credits_of(figures, settings.credits_per_usd),
)
