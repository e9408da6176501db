"""The network: the proxy, if any, to Discord and to each service."""

from bot.check.report import Line, ok
from bot.config import Config


async def check_network(config: Config) -> list[Line]:
    """Return which destinations are reached through a proxy, and which directly."""
    proxies = config.core.proxies
    urls = {"Discord": config.core.discord_api_url}
    urls |= {each.key: each.settings.api_url for each in config.configured}
    by_route: dict[str, list[str]] = {}
    for name, url in urls.items():
        by_route.setdefault(proxies.describe(url), []).append(name)
    return [ok("network", f"{', '.join(names)} {route}") for route, names in by_route.items()]
