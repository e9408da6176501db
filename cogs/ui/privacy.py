"""The reply to /privacy."""

from discord import ui

from bot.catalog import Catalog
from bot.services import Policies
from cogs.ui.panel import panel
from cogs.ui.wording import Privacy, plural


def privacy_view(policies: Policies, catalog: Catalog) -> ui.LayoutView:
    """Return what is stored, for how long, and who receives it, with the operator's pages."""
    services = ", ".join(each.title for each in catalog.specs.values())
    prompts = ""
    if policies.keep_prompts_days is not None:
        prompts = Privacy.PROMPTS.format(days=plural(Privacy.DAYS, policies.keep_prompts_days))
    return panel(
        Privacy.STORED.format(days=plural(Privacy.DAYS, policies.keep_days), prompts=prompts),
        Privacy.SHARED.format(services=services),
        Privacy.OWN,
        Privacy.CONTACT if policies.support_url else Privacy.NO_CONTACT,
        *page_links(policies),
    )


def page_links(policies: Policies) -> list[str]:
    """Return a line with a link to each page that the operator has named, or nothing."""
    pages = {
        Privacy.POLICY: policies.privacy_url,
        Privacy.TERMS: policies.terms_url,
        Privacy.SUPPORT: policies.support_url,
    }
    # An address in angle brackets may have parentheses.
    links = [Privacy.PAGE.format(label=label, url=url) for label, url in pages.items() if url]
    return [Privacy.PAGES.format(links=" · ".join(links))] if links else []
