"""Results as members get them: AI-generated, say the file, the alt text and the small line."""

import io
from collections.abc import Iterator
from hashlib import sha256

import aiohttp
import pytest
from PIL import Image

from bot.jobs import Job
from bot.pictures.marks import Recipe, recipe_in
from bot.sandbox.discord import Message, Upload
from bot.sandbox.discord.components import walk
from bot.sandbox.http.faults import Answer
from bot.store import pictures
from bot.store.tables import jobs
from tests.cogs.test_delivery import RESULT
from tests.cogs.test_show import shown as shown_to
from tests.support.easel import Stage, text_of
from tests.support.files import picture
from tests.support.marks import (
    COMPOSITE,
    FOREIGN,
    GENERATED,
    IPTC,
    decoded,
    properties_in,
    with_c2pa,
    with_xmp,
)

pytestmark = pytest.mark.long

MIB = 1024 * 1024
CAT = Upload("cat.png", picture())
MODELS = [
    ("oxen", "Qwen Image 2 Pro at Oxen.ai, requested by Easel"),
    ("skills", "Qwen Image 2 Pro at skills.video, requested by Easel"),
]


async def posted(message: Message) -> list[bytes]:
    """Return the files of a message, as a member downloads them."""
    async with aiohttp.ClientSession() as session:
        found = []
        for url in message.pictures():
            async with session.get(url) as response:
                found.append(await response.read())
        return found


async def stored(at: Stage, job: Job) -> list[bytes]:
    """Return the files of a job's results."""
    async with at.database() as database, database.reading() as view:
        results = await pictures.of_job(view, job.id, pictures.Role.OUTPUT)
    files = [at.folder / "pictures" / r.sha256[:2] / f"{r.sha256}.{r.kind}" for r in results]
    data = [file.read_bytes() for file in files]
    assert [sha256(each).hexdigest() for each in data] == [each.sha256 for each in results]
    return data


def drawn(at: Stage) -> list[bytes]:
    """Return the pictures as the services have sent them."""
    everything = [*at.oxen.generations.values(), *at.skills.generations.values()]
    return [data for each in everything for data in each.drawn.values()]


def alt_texts(message: Message) -> Iterator[str]:
    for component in walk(message.components):
        yield from (item["description"] for item in component.get("items", []))


def serve(at: Stage, data: bytes) -> None:
    at.oxen.faults.add("GET", RESULT, Answer(200, data, {"Content-Type": "image/png"}))


@pytest.mark.parametrize(("model", "system"), MODELS)
async def test_a_result_is_marked_and_posted_as_it_is_stored(
    at: Stage, model: str, system: str
) -> None:
    async with at.easel():
        await at.imagine("a fox", model=model, count=2)
        result = await at.result("a fox")
        (job,) = await at.settled()

    files = await posted(result)
    assert files == await stored(at, job)
    assert len(files) == 2
    for data in files:
        found = properties_in(data)
        assert found[f"{IPTC}DigitalSourceType"] == [GENERATED]
        assert found[f"{IPTC}AISystemUsed"] == [system]
        assert b"a fox" not in data  # a prompt may be private
        assert recipe_in(data) is None
    assert sorted(map(decoded, files)) == sorted(map(decoded, drawn(at)))
    assert list(alt_texts(result)) == ["AI-generated: a fox"] * 2
    assert result.text().splitlines()[-1].startswith("-# AI-generated · Qwen Image 2 Pro at ")


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
async def test_other_formats_are_marked(at: Stage, kind: str) -> None:
    async with at.easel():
        await at.imagine("a fox", model="skills", output_format=kind)
        result = await at.result("a fox")
        (job,) = await at.settled()

    (data,) = await posted(result)
    assert [data] == await stored(at, job)
    assert properties_in(data)[f"{IPTC}DigitalSourceType"] == [GENERATED]
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == kind.upper()
    assert [decoded(data)] == [decoded(each) for each in drawn(at)]


@pytest.mark.parametrize(("model", "system"), MODELS)
async def test_an_edit_is_marked_as_composite_and_its_input_is_not(
    at: Stage, model: str, system: str
) -> None:
    async with at.easel():
        await at.edit(CAT, model=model)
        result = await at.result("make it blue")
        await at.settled()

    (data,) = await posted(result)
    assert properties_in(data)[f"{IPTC}DigitalSourceType"] == [COMPOSITE]
    assert properties_in(data)[f"{IPTC}AISystemUsed"] == [system]
    kept = [file.read_bytes() for file in (at.folder / "pictures").rglob("*.png")]
    assert CAT.data in kept
    assert len(kept) == 2


async def test_the_operator_may_have_the_recipe_embedded(at: Stage) -> None:
    async with at.easel(embed_recipe=True):
        await at.imagine(
            "a fox & hen", model="skills", negative_prompt="rain", seed=7, private=True
        )
        result = await at.result("a fox")
        (job,) = await at.settled()

    (data,) = await posted(result)
    assert recipe_in(data) == Recipe(
        model="skills",
        prompt="a fox & hen",
        options={"negative_prompt": "rain", "seed": 7},
        job=job.id,
    )
    assert properties_in(data)[f"{IPTC}AIPromptInformation"] == [
        "a fox & hen\n\nNegative prompt: rain"
    ]


async def test_properties_of_the_service_stay(at: Stage) -> None:
    serve(at, with_xmp("PNG", FOREIGN))
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        await at.settled()

    found = properties_in(*await posted(result))
    assert found["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == ["Another > 'tool'"]
    assert found[f"{IPTC}DigitalSourceType"] == [GENERATED]


async def test_a_file_with_c2pa_data_is_posted_as_the_service_sent_it(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    data = with_c2pa("PNG")
    serve(at, data)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert await posted(result) == [data] == await stored(at, job)
    assert "without a mark" not in caplog.text


async def test_an_odd_picture_is_delivered_without_a_mark(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    odd = picture()[:-12]  # lacks the end
    serve(at, odd)
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        result = await at.result("a fox")
        (job,) = await at.settled()

    assert await posted(result) == [odd] == await stored(at, job)
    assert "without a mark as AI-generated: a PNG that ends early" in caplog.text


@pytest.mark.parametrize(
    ("name", "data"),
    [("plain", picture(size=(1200, 800))), ("c2pa", with_c2pa("PNG", (1200, 800)))],
)
@pytest.mark.parametrize("shown", [False, True], ids=["posted", "shown again"])
async def test_a_reduced_copy_is_marked(at: Stage, name: str, data: bytes, shown: bool) -> None:
    """Include a file whose C2PA data end with the new encoding."""
    serve(at, data)
    if shown:
        at.discord.set_upload_limit(at.server, 50 * MIB)
    limit = len(data) // 2
    async with at.easel():
        if not shown:
            at.discord.set_upload_limit(at.server, limit)
        await at.imagine("a fox", model="oxen")
        message = await at.result("a fox")
        (job,) = await at.settled()
        if shown:
            at.ada.upload_limit = limit
            at.discord.set_upload_limit(at.server, limit)
            await at.command("show", job=job.id)
            (message,) = await shown_to(at, at.ada)

    assert "Shrunk to fit the upload limit" in message.text()
    (copy,) = await posted(message)
    assert len(copy) <= limit
    assert properties_in(copy)[f"{IPTC}DigitalSourceType"] == [GENERATED]


async def test_show_says_so_as_well(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", private=True)
        (job,) = await at.settled()
        await at.command("show", job=job.id)
        shown = await at.result(f"job {job.id}")

    assert "-# AI-generated · " in shown.text()


async def test_a_job_without_a_result_is_not_called_ai_generated(at: Stage) -> None:
    at.oxen.fail_next("Something went wrong")
    async with at.easel():
        await at.imagine("a fox", model="oxen")
        failure = await at.said("could not make this picture")
        (job,) = await at.settled()
        shown = await at.command("show", job=job.id)

    assert "AI-generated" not in failure.text()
    assert "AI-generated" not in text_of(shown)


async def test_a_recipe_that_cannot_be_written_holds_no_picture_back(
    at: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at.fails = True
    at.oxen.manual = True
    async with at.easel(embed_recipe=True):
        await at.imagine("a fox", model="oxen")
        await at.said("Drawing")
    async with at.database() as database, database.transaction() as tx:
        await tx.execute(jobs.update().values(prompt="a secret " * 1000))  # longer than any
    async with at.easel(embed_recipe=True):
        await at.finish()
        result = await at.result("a secret")
        await at.settled()

    assert await posted(result) == drawn(at)
    assert "without a mark as AI-generated, by an unexpected error" in caplog.text
    assert "secret" not in "".join(each.exc_text or "" for each in caplog.records)
