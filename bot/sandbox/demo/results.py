"""The steps that continue to work with a result: by its buttons and forms."""

from collections.abc import Mapping
from typing import Any, Final

from bot.sandbox.demo.checks import check_result, request
from bot.sandbox.demo.edits import is_of, photo, sent_to_skills
from bot.sandbox.demo.stage import Stage, Step, brief, expect, typed
from bot.sandbox.discord import Interaction, Message, User

SEA: Final = "a city under the sea at night"
HOUSE: Final = "a house by a lake"
AUTUMN: Final = "a house by a lake in autumn"
WINTER: Final = "a house by a lake in winter"
SHIP: Final = "put the ship in front of the lighthouse"
TWO: Final = "a lighthouse on a cliff"  # an earlier result of two pictures
BOAT: Final = "add a small red boat"
START_SECONDS: Final = 15.0  # the machine may be busy
ROW: Final = ["Again", "Remix", "Edit", "More"]


async def press(stage: Stage, user: User, message: Message, label: str) -> Interaction:
    stage.transcript.did(user.name, f"[{label}]")
    ids = {str(each["label"]): str(each["custom_id"]) for each in message.buttons()}
    expect(label in ids, f"a button {label}", list(ids))
    return await (await stage.discord.click(user, message, ids[label])).answered()


async def submit(
    stage: Stage, user: User, opened: Interaction, values: Mapping[str, Any]
) -> Message:
    """Submit a form by the custom_ids of its fields, and return the status message."""
    expect(opened.modal is not None, "a form", opened.response)
    labels = [str(each["label"]) for each in (opened.modal or {})["components"]]
    stage.transcript.saw(f"a form opens with the fields: {', '.join(labels)}")
    stage.transcript.did(user.name, _entered(values))
    sent = await (await stage.discord.submit_modal(user, opened, values)).answered()
    if sent.message is None:
        raise AssertionError("no status message")
    return sent.message


def _entered(values: Mapping[str, Any]) -> str:
    """Return the values of a form as a member would name them."""
    lists = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return ", ".join(
        f"{name}: {', '.join(str(typed(each)) for each in given)}" for name, given in lists.items()
    )


async def again(stage: Stage) -> None:
    status = await request(stage, stage.ada, "imagine", prompt=HOUSE, model="oxen", seed=7)
    result = await stage.result_after(status, stage.ada)
    labels = [str(each["label"]) for each in result.buttons()]
    expect(labels == ROW, f"the buttons {', '.join(ROW)}", labels)
    await press(stage, stage.ben, result, "Again")
    again = await stage.result_after(result, stage.ben)
    await check_result(stage, again, stage.ben, HOUSE, ratio=16 / 9, count=1)
    expect("made from" in again.text(), "the source in the small line", again.text())
    first, second = stage.generations(HOUSE)
    expect(first.body.get("seed") == 7, "seed 7 in the first request", first.body)
    expect("seed" not in second.body, "no seed in the second request", second.body)
    stage.transcript.saw(f"Ben's own job: {brief(again.text())}")


async def remix(stage: Stage) -> None:
    source = await newest_result(stage, HOUSE)
    opened = await press(stage, stage.ada, source, "Remix")
    status = await submit(
        stage, stage.ada, opened, {"prompt": AUTUMN, "shape": ["aspect_ratio=1:1"]}
    )
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, AUTUMN, ratio=1, count=1)


async def edit(stage: Stage) -> None:
    source = await newest_result(stage, AUTUMN)
    opened = await press(stage, stage.ada, source, "Edit")
    status = await submit(stage, stage.ada, opened, {"prompt": BOAT})
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, BOAT, ratio=16 / 9, count=1)
    [generation] = stage.generations(BOAT)
    address = str(generation.body.get("input_image"))
    expect("/easel-" in address, "the address of the picture of the result", address)


async def edit_one_of_two(stage: Stage) -> None:
    source = await newest_result(stage, TWO)
    opened = await press(stage, stage.ada, source, "Edit")
    ship = await photo("ship.jpg", "a ship", (640, 480))
    values = {"picture": ["2"], "prompt": SHIP, "references": [ship]}
    status = await submit(stage, stage.ada, opened, values)
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, SHIP, ratio=4 / 3, count=1)
    first, second = sent_to_skills(stage, SHIP)
    expect("-2.png" in first, "the second picture of the result", first)
    expect(is_of(second, ship), "the attached picture after it", second)


async def after_a_kill(stage: Stage) -> None:
    source = await newest_result(stage, AUTUMN)
    opened = await press(stage, stage.ada, source, "Remix")
    stage.transcript.did("operator", "SIGKILL, and a new start")
    async with stage.bot.replaced():
        await stage.discord.disconnected()
    await stage.discord.connected(START_SECONDS)
    stage.transcript.saw("the bot has logged in again")
    status = await submit(stage, stage.ada, opened, {"prompt": WINTER})
    result = await stage.result_after(status, stage.ada)
    await check_result(stage, result, stage.ada, WINTER, ratio=1, count=1)


async def newest_result(stage: Stage, prompt: str) -> Message:
    seen = stage.discord.channel_messages(stage.channel, stage.ada)
    return next(each for each in reversed(seen) if prompt in each.text() and each.pictures())


RESULTS: Final = (
    Step("The button Again: the same request with a new seed", again),
    Step("The button Remix: a form with the request", remix),
    Step("The button Edit: a form for a change of the picture", edit),
    Step("One of two pictures is edited, with a further picture", edit_one_of_two),
    Step("A form that was open while the bot was killed", after_a_kill, seconds=60),
)
