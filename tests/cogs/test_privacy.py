"""/privacy: what members are told about their data."""

import pytest

from tests.support.easel import Stage, text_of

PAGES = {
    "privacy_url": "https://example.org/privacy",
    "terms_url": "https://example.org/terms",
    "support_url": "https://example.org/help_(easel)",
}


def line(*names: str) -> str:
    links = {"privacy_url": "Privacy policy", "terms_url": "Terms", "support_url": "Support"}
    return "-# " + " · ".join(f"[{links[name]}](<{PAGES[name]}>)" for name in names)


async def test_the_reply_says_what_is_stored_and_who_receives_it(at: Stage) -> None:
    async with at.easel(keep_days=30):
        asked = await at.command("privacy")

    told = text_of(asked)
    assert "for 30 days after" in told
    assert "Qwen Image 2 Pro at Oxen.ai, Qwen Image 2 Pro at skills.video" in told
    assert "ask the people who run this bot" in told
    assert "`/mydata export` sends you everything" in told
    assert asked.message is not None
    assert asked.message.ephemeral_to is at.ada
    assert "](<" not in told


@pytest.mark.parametrize("command", ["privacy", "help"])
async def test_the_operators_pages_are_links(at: Stage, command: str) -> None:
    async with at.easel(**PAGES):
        asked = await at.command(command)

    assert line(*PAGES) in text_of(asked)


async def test_with_a_page_for_support_members_are_sent_there(at: Stage) -> None:
    async with at.easel(support_url=PAGES["support_url"]):
        asked = await at.command("privacy")

    assert "see Support below" in text_of(asked)
    assert line("support_url") in text_of(asked)
