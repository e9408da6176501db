"""The image APIs: each key checked by free requests, and one real picture with `--try`."""

from bot.check.report import Line, ok, warning, wrong
from bot.config import ProviderConfig
from bot.errors import ProviderError, Reason, StartupError
from bot.http_client import TRUST, UNTRUSTED
from bot.providers.base import (
    Http,
)


async def check_provider(configured: ProviderConfig, http: Http) -> list[Line]:
    """Return the findings of the provider's own check, or the error that it ended by."""
    try:
        findings = await configured.make(http).check()
    except StartupError:  # the key is malformed: the settings' lines report that
        return []
    except ProviderError as error:
        return [_refused(configured, error)]
    return [
        warning(configured.key, each.text, each.remedy)
        if each.remedy
        else ok(configured.key, each.text)
        for each in findings
    ]


def _refused(configured: ProviderConfig, error: ProviderError) -> Line:
    key, page = configured.key, configured.entry.key_page
    api_key, api_url = (configured.settings.env_name(name) for name in ("api_key", "api_url"))
    match error.reason:
        case Reason.AUTH:
            return wrong(api_key, f"refused ({error})", f"Create a new key at {page}.")
        case Reason.CREDITS:
            return warning(key, f"the account is empty ({error})", f"See {page}.")
        case Reason.NOT_FOUND:
            # Only the settings of some providers name the model.
            model = configured.settings.env_name("model")
            named = model in configured.settings.names()
            remedy = f"Check {model if named else 'the model'} and {api_url}."
            return wrong(key, f"does not know the model ({error})", remedy)
        case _ if UNTRUSTED in error.detail:
            return wrong(key, f"no answer ({error})", TRUST)
        case _:
            return wrong(
                key, f"no answer ({error})", f"Try again; check the network and {api_url}."
            )
