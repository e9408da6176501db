"""The image APIs: each key by free calls."""

from collections.abc import Mapping

import aiohttp

from bot.backoff import utc_now
from bot.check.report import Line, ok, warning, wrong
from bot.errors import ProviderError, Reason, StartupError
from bot.ledger import credits_text, thousandths
from bot.observability.metrics import Metrics
from bot.providers.base import Provider
from bot.providers.made import make_providers
from bot.providers.oxen.provider import Oxen
from bot.providers.skills.provider import Skills
from bot.settings import Settings

KEY_PAGES: Mapping[str, str] = {
    "oxen": "https://www.oxen.ai/settings/profile",
    "skills": "https://skills.video/dashboard/developer",
}


def providers_of(settings: Settings, session: aiohttp.ClientSession) -> dict[str, Provider]:
    """None where a key cannot be one: the settings' lines tell it."""
    try:
        return make_providers(settings, session, Metrics(utc_now))
    except StartupError:
        return {}


async def check_service(provider: Provider, settings: Settings) -> list[Line]:
    """Ask what costs nothing; the answer tells whether the key is taken."""
    try:
        match provider:
            case Oxen():
                return await _check_oxen(provider)
            case Skills():
                return await _check_skills(provider, settings)
            case _:
                return [ok(provider.key, (await provider.describe()).title)]
    except ProviderError as error:
        return [_refused(provider.key, error)]


async def _check_oxen(provider: Oxen) -> list[Line]:
    """Its models may be told to anybody: the queue is asked for, too, which needs the key."""
    await provider.list()
    spec = await provider.describe()
    price = f"{credits_text(spec.price)} credits a picture"
    if not spec.price_known:
        remedy = "OXEN_PRICE is used in its place: compare it with https://www.oxen.ai."
        return [ok("oxen", "the key is taken"), warning("oxen", "tells no price", remedy)]
    return [ok("oxen", f"the key is taken; {spec.title}, {price}")]


async def _check_skills(provider: Skills, settings: Settings) -> list[Line]:
    found = await provider.credits()
    if not found:
        return [ok("skills", "the key is taken; it tells no credits")]
    told = ", ".join(f"{name} {number:f}" for name, number in found.items())
    if thousandths(max(found.values())) < thousandths(settings.skills_price):
        remedy = "Buy credits at https://skills.video."
        return [warning("skills", f"not enough for a picture: {told}", remedy)]
    return [ok("skills", f"the key is taken; credits: {told}")]


def _refused(model: str, error: ProviderError) -> Line:
    name = f"{model.upper()}_API_KEY"
    match error.reason:
        case Reason.AUTH:
            return wrong(name, f"refused ({error})", f"Make a new one at {KEY_PAGES[model]}.")
        case Reason.CREDITS:
            return warning(model, f"the account is empty ({error})", f"See {KEY_PAGES[model]}.")
        case Reason.NOT_FOUND:
            remedy = f"Look at {model.upper()}_MODEL and {model.upper()}_API_URL."
            return wrong(model, f"does not know the model ({error})", remedy)
        case _:
            remedy = f"Try again; look at the network and {model.upper()}_API_URL."
            return wrong(model, f"could not be asked ({error})", remedy)
