"""The network: the way to Discord and to each service."""

from bot.check.report import Line, ok
from bot.config import Config


async def check_network(config: Config) -> list[Line]:
    """Return which destinations are reached through a proxy, and which directly."""
    proxies = config.core.proxies
    urls = {"Discord": config.core.discord_api_url}
    urls |= {each.key: each.settings.api_url for each in config.configured}
    by_way: dict[str, list[str]] = {}
    for name, url in urls.items():
        by_way.setdefault(proxies.describe(url), []).append(name)
    return [ok("network", f"{', '.join(names)} {way}") for way, names in by_way.items()]
