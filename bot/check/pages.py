"""The operator's pages: PRIVACY_URL, TERMS_URL and SUPPORT_URL, and those of the application."""

import asyncio
from collections.abc import Iterator, Sequence

import aiohttp

from bot.check.discord_rest import Application
from bot.check.report import Line, ok, warning
from bot.http_client import cause_of
from bot.proxies import ProxyOptions
from bot.settings import Settings

TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=5.0)
# Discord's Developer Terms, 5a: a policy within reach of the application's users.
NO_POLICY = "members find no privacy policy, which Discord's Developer Terms demand"
REDIRECTS = 5


async def check_pages(settings: Settings, session: aiohttp.ClientSession) -> Sequence[Line]:
    """Request each page that is set; report the policy if it is not."""
    pages = {
        "PRIVACY_URL": settings.privacy_url,
        "TERMS_URL": settings.terms_url,
        "SUPPORT_URL": settings.support_url,
    }
    found = [
        _page(name, url, session, settings.proxies.options(url))
        for name, url in pages.items()
        if url
    ]
    lines = list(await asyncio.gather(*found))
    if not settings.privacy_url:
        remedy = "Publish one, such as docs/privacy.md with your name, and set PRIVACY_URL."
        lines.insert(0, warning("PRIVACY_URL", NO_POLICY, remedy))
    return lines


def check_application_pages(
    application: Application, settings: Settings, portal: str
) -> Iterator[Line]:
    """Compare the pages with those that Discord shows in the profile of the application."""
    for name, label, shown, url in (
        ("PRIVACY_URL", "Privacy Policy URL", application.privacy_policy_url, settings.privacy_url),
        ("TERMS_URL", "Terms of Service URL", application.terms_of_service_url, settings.terms_url),
    ):
        if url and shown != url:
            what = "names another page" if shown else "names none"
            yield warning(
                name,
                f"the application's {label} {what}",
                f"Enter {url} at {portal}/information.",
            )
        elif shown and not url:
            yield warning(name, f"the bot does not show {shown}", f"Set {name} to it.")


async def _page(name: str, url: str, session: aiohttp.ClientSession, proxy: ProxyOptions) -> Line:
    remedy = f"Correct {name}: members see this address in /privacy."
    try:
        async with session.get(url, timeout=TIMEOUT, max_redirects=REDIRECTS, **proxy) as response:
            if response.status >= 400:
                return warning(name, f"{url} answers with HTTP {response.status}", remedy)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return warning(name, f"{url} cannot be opened: {cause_of(error)}", remedy)
    return ok(name, url)
