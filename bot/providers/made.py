"""Temporary: the factory of the providers."""

from collections.abc import Callable, Mapping

import aiohttp
from pydantic import SecretStr

from bot.ledger import thousandths
from bot.observability.metrics import Metrics
from bot.providers.base import Provider
from bot.providers.oxen.provider import Oxen
from bot.providers.skills.provider import Skills
from bot.settings import Settings


def make_providers(
    settings: Settings, session: aiohttp.ClientSession, metrics: Metrics
) -> dict[str, Provider]:
    """Those whose key is set. One that is added gets its line here and in the catalog."""
    makers: dict[str, Callable[[SecretStr], Provider]] = {
        "oxen": lambda key: Oxen(
            session,
            key,
            settings.oxen_api_url,
            settings.oxen_model,
            metrics=metrics,
            price=thousandths(settings.oxen_price),
            credits_per_usd=settings.credits_per_usd,
        ),
        "skills": lambda key: Skills(
            session,
            key,
            settings.skills_api_url,
            settings.skills_model,
            metrics=metrics,
            price=thousandths(settings.skills_price),
        ),
    }
    keys = settings.keys
    return {model: make(keys[model]) for model, make in makers.items() if model in keys}


def api_addresses(settings: Settings) -> Mapping[str, str]:
    return {"oxen": settings.oxen_api_url, "skills": settings.skills_api_url}
