"""The providers as the registry makes them, for one address; without a session, nothing is sent."""

from typing import TypeVar

import aiohttp

from bot.backoff import utc_now
from bot.observability.metrics import Metrics
from bot.providers.api_client import Api
from bot.providers.base import Http
from bot.providers.oxen.model import OxenSettings
from bot.providers.oxen.provider import Oxen
from bot.providers.skills.model import SkillsSettings
from bot.providers.skills.provider import Skills

P = TypeVar("P", bound=Oxen | Skills)
NOWHERE = "http://nowhere.invalid"
MEMBER = 7  # for whom a request is submitted


def oxen_at(
    session: aiohttp.ClientSession | None = None,
    url: str = NOWHERE,
    *,
    key: str = "key",
    model: str = "qwen-image-2",
) -> Oxen:
    values = {"OXEN_API_KEY": key, "OXEN_API_URL": url, "OXEN_MODEL": model}
    return Oxen(OxenSettings.load(None, values), http(session))


def skills_at(
    session: aiohttp.ClientSession | None = None,
    url: str = NOWHERE,
    *,
    key: str = "key",
    **more: str,
) -> Skills:
    values = {"SKILLS_API_KEY": key, "SKILLS_API_URL": f"{url}/api/v1", **more}
    return Skills(SkillsSettings.load(None, values), http(session))


def api_at(session: aiohttp.ClientSession, url: str, *, key: str) -> Api:
    values = {"OXEN_API_KEY": key, "OXEN_API_URL": url}
    return Api("oxen", OxenSettings.load(None, values), http(session))


def http(session: aiohttp.ClientSession | None) -> Http:
    return Http(session, Metrics(utc_now))  # type: ignore[arg-type]  # None if nothing is sent


def answering(provider: P, answer: object) -> P:
    """The provider, whose API answers every request with this value."""

    async def request(*_: object, **__: object) -> object:
        return answer

    # All requests go through these two.
    provider._api.request = request  # type: ignore[method-assign]
    provider._api.create = request  # type: ignore[method-assign]
    return provider
