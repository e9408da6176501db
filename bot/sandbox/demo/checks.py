"""Requests and checks that several steps of the demonstration share."""

from bot.sandbox.demo.pictures import AI_SOURCES, alt_texts, fetch_pictures
from bot.sandbox.demo.stage import Stage, brief, expect, reply_of
from bot.sandbox.discord import Channel, Message, User


async def request(
    stage: Stage,
    user: User,
    command: str,
    *,
    where: Channel | None = None,
    alone: bool = False,
    **options: object,
) -> Message:
    """Use /imagine or /edit, and return the status message, public or for the user `alone`."""
    interaction = await stage.use(user, command, where=where, **options)
    status = reply_of(interaction)
    expect(
        (status.ephemeral_to is user) == alone,
        "a reply for the member alone" if alone else "a public reply",
        status.text(),
    )
    seconds = interaction.acknowledged_after or 0
    stage.transcript.saw(f"reply after {seconds * 1000:.0f} ms: {brief(status.text())}")
    return status


async def check_result(
    stage: Stage,
    result: Message,
    user: User,
    prompt: str,
    *,
    ratio: float,
    count: int,
    pings: bool = True,
) -> None:
    if pings:
        expect(result.pings == [user.id], f"a ping for {user.name} only", result.pings)
    shown = await fetch_pictures(result)
    expect(len(shown) == count, f"{count} pictures", shown)
    for each in shown:
        near = abs(each.width / each.height / ratio - 1) < 0.03
        expect(near, f"a picture with a ratio of {ratio:.2f}", each)
        expect(each.source in AI_SOURCES, "a picture that is marked as AI-generated", each)
    described = alt_texts(result)
    wanted = [f"AI-generated: {prompt}"] * count
    expect(described == wanted, "the prompt as the alternative text", described)
    small = result.text().splitlines()[-1]
    expect(small.startswith("-# AI-generated · "), "a small line that says AI-generated", small)
    expect("credits" in small, "a small line with the cost", small)
    sizes = ", ".join(f"{each.width}×{each.height} {each.kind}" for each in shown)
    pinged = f"only {user.name} is pinged; " if pings else ""
    stage.transcript.saw(f"{pinged}pictures: {sizes}")
    stage.transcript.saw(brief(small))
