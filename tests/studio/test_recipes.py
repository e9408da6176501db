"""The recipe of a message or a picture: proofs before words, and turns of the members."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.jobs import Attachment, Job
from bot.pictures import Downloader
from bot.pictures.marks import Recipe, mark_of, marked_pieces
from bot.services import Services
from bot.store import jobs
from bot.store.database import Database
from bot.studio import recipes as use_cases
from bot.studio.recipes import AlreadySearching, NoRecipe, Recipes
from tests.support.files import picture
from tests.support.rows import NOW
from tests.support.studio import ADA, BEN, CHANNEL, RESULT, posted

ADDRESSES: set[str] = set()  # from which pictures may come


def address(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def attached(*files: bytes) -> list[Attachment]:
    made = [Attachment("easel.png", address(each)) for each in files]
    ADDRESSES.update(each.url for each in made)
    return made


@pytest.fixture
def recipes(services: Services) -> Iterator[Recipes]:
    yield Recipes(replace(services, downloader=Downloader(media=ADDRESSES)))
    ADDRESSES.clear()


def marked(folder: Path, job: Job) -> bytes:
    """Return a picture with the recipe of a job in its metadata."""
    path = folder / "marked.png"
    path.write_bytes(picture())
    return b"".join(marked_pieces(path, mark_of(job, "A title", with_recipe=True)))


async def test_a_message_is_that_of_a_result_where_it_is_seen(
    database: Database, recipes: Recipes
) -> None:
    job = await posted(database)

    assert await recipes.of_message(BEN, CHANNEL, RESULT) == job
    assert await recipes.of_message(ADA, 0, RESULT) == job
    assert await recipes.of_message(BEN, CHANNEL + 1, RESULT) is None
    assert await recipes.of_message(ADA, CHANNEL, RESULT + 1) is None


async def test_a_picture_is_recognised_by_its_bytes(
    database: Database, services: Services, recipes: Recipes
) -> None:
    data, other = picture(), picture()
    job = await posted(database, outputs=[await services.pictures.store(data)])

    assert await recipes.of_pictures(BEN, CHANNEL, attached(other, data)) == job
    for channel, files in ((CHANNEL + 1, attached(data)), (CHANNEL, attached(other))):
        with pytest.raises(NoRecipe, match="No recipe is known for this message"):
            await recipes.of_pictures(BEN, channel, files)


async def test_the_seen_one_of_several_jobs_with_the_same_bytes_is_named(
    database: Database, services: Services, recipes: Recipes
) -> None:
    stored = await services.pictures.store(data := picture())
    first = await posted(database, outputs=[stored])
    hidden = await posted(database, outputs=[stored], message_id=51)
    async with database.transaction() as tx:
        await jobs.hide(tx, hidden.id, NOW)

    assert await recipes.of_pictures(BEN, CHANNEL, attached(data)) == first


async def test_a_result_comes_before_what_files_say_and_the_first_word_before_later_ones(
    database: Database, services: Services, recipes: Recipes, tmp_path: Path
) -> None:
    data = picture()
    job = await posted(database, outputs=[await services.pictures.store(data)])
    other = replace(job, request=replace(job.request, prompt="another"))
    first, second = marked(tmp_path, job), marked(tmp_path, other)

    said = await recipes.of_pictures(ADA, CHANNEL, attached(picture(), first, second))
    assert isinstance(said, Recipe)
    assert said.prompt == "a fox"
    said = await recipes.of_pictures(ADA, CHANNEL, attached(second, first, picture()))
    assert isinstance(said, Recipe)
    assert said.prompt == "another"
    assert await recipes.of_pictures(ADA, CHANNEL, attached(first, data)) == job


async def test_only_the_first_four_pictures_are_read(
    database: Database, services: Services, recipes: Recipes
) -> None:
    data = picture()
    job = await posted(database, outputs=[await services.pictures.store(data)])
    others = [picture() for _ in range(4)]

    assert await recipes.of_pictures(ADA, CHANNEL, attached(*others[:3], data)) == job
    with pytest.raises(NoRecipe):
        await recipes.of_pictures(ADA, CHANNEL, attached(*others, data))


async def test_what_cannot_be_read_is_passed_over(
    database: Database, services: Services, recipes: Recipes
) -> None:
    data = picture()
    job = await posted(database, outputs=[await services.pictures.store(data)])
    broken = Attachment("broken.png", "data:image/png;base64,!")
    ADDRESSES.add(broken.url)

    files = [broken, *attached(b"no picture"), *attached(data)]
    assert await recipes.of_pictures(ADA, CHANNEL, files) == job


async def test_nothing_is_read_from_elsewhere(
    database: Database, services: Services, recipes: Recipes
) -> None:
    data = picture()
    await posted(database, outputs=[await services.pictures.store(data)])
    with pytest.raises(NoRecipe):
        await recipes.of_pictures(ADA, CHANNEL, [Attachment("easel.png", address(data))])


async def test_a_search_ends_after_its_time(
    database: Database, services: Services, recipes: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture()
    await posted(database, outputs=[await services.pictures.store(data)])
    monkeypatch.setattr(use_cases, "LOOKUP_TIMEOUT", 0)

    with pytest.raises(NoRecipe):
        await recipes.of_pictures(ADA, CHANNEL, attached(data))


def test_one_search_of_a_member_and_two_of_all_run_at_once(recipes: Recipes) -> None:
    def is_refused(user_id: int) -> bool:
        try:
            with recipes.searching(user_id):
                return False
        except AlreadySearching as error:
            return "Wait for that one" in str(error)

    with recipes.searching(1):
        assert is_refused(1)
        assert not is_refused(2)
        with recipes.searching(2):
            assert is_refused(3)
        assert not is_refused(3)
    assert not is_refused(1)
