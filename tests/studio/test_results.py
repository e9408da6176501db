"""Results that members continue to work with: repeated, remixed and edited, by whom and where."""

from dataclasses import replace
from typing import Any

import pytest

from bot.catalog import Catalog, Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.jobs import Attachment, GenerationRequest, Job, JobStatus, NewJob, Option
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from bot.services import Services
from bot.store.database import Database
from bot.studio import results as use_cases
from bot.studio.results import (
    ModelGone,
    NoPictures,
    PicturesRemoved,
    PromptRemoved,
    Results,
    ResultUnavailable,
    check_prompt,
    default_of,
    shape_of,
    stored_attachment,
)
from tests.support.rows import NOW, new_job
from tests.support.studio import (
    ADA,
    BEN,
    CAT,
    CHANNEL,
    NOBODY,
    RESULT,
    failed,
    made,
    on_disk,
    posted,
    remix,
    remove,
)

OXEN, SKILLS = oxen_spec(price=1), skills_spec(price=1)


@pytest.fixture
def services(services: Services) -> Services:
    return replace(services, catalog=Catalog([OXEN, SKILLS]))


def new(**options: Option) -> NewJob:
    return new_job(**options)  # type: ignore[arg-type]


async def test_a_result_is_seen_by_whoever_may(database: Database, results: Results) -> None:
    job = await posted(database)

    assert await results.seen(ADA, 0, job.id) == job
    assert await results.seen(BEN, CHANNEL, job.id) == job
    for member, channel, job_id in ((BEN, CHANNEL + 1, job.id), (ADA, CHANNEL, NOBODY)):
        with pytest.raises(ResultUnavailable, match="is private, was deleted, or is unknown here"):
            await results.seen(member, channel, job_id)
    assert await results.is_known(job.id) is True
    assert await results.is_known(NOBODY) is False
    assert await results.of_message(RESULT) == job
    assert await results.of_message(RESULT + 1) is None


async def test_the_stored_pictures_keep_their_numbers(
    database: Database, services: Services, results: Results
) -> None:
    one, two, three = [await on_disk(services) for _ in range(3)]
    job = await posted(database, outputs=[one, two, three])
    assert await results.pictures(job) == {1: one, 2: two, 3: three}

    remove(services, two)
    assert await results.pictures(job) == {1: one, 3: three}
    for each in (one, three):
        remove(services, each)
    with pytest.raises(PicturesRemoved, match="The pictures of this job are no longer stored"):
        await results.pictures(job)
    with pytest.raises(NoPictures, match="This job has no pictures"):
        await results.pictures(await failed(database))


async def test_a_store_that_does_not_answer_in_time_is_believed_to_have_all(
    database: Database,
    results: Results,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(use_cases, "FIND_TIMEOUT", 0)
    caplog.set_level("INFO", use_cases.__name__)
    (gone,) = made("gone")

    assert await results.pictures(await posted(database, outputs=[gone])) == {1: gone}
    assert [each.message for each in caplog.records] == [
        "stored pictures not found in time: TimeoutError()"
    ]


async def test_the_same_again_has_another_seed(database: Database, results: Results) -> None:
    job = await posted(database, new(seed=7, count=2, aspect_ratio="2:1"))

    draft = await results.again(BEN, CHANNEL, job)

    assert (draft.source, draft.prompt, draft.model, draft.inputs) == (job, "a fox", "oxen", ())
    assert draft.options == {"count": 2, "aspect_ratio": "2:1"}
    chosen = await posted(database, replace(new(), model_auto=True))
    assert (await results.again(ADA, CHANNEL, chosen)).model is None


async def test_a_model_that_is_gone_is_no_longer_used(
    database: Database, services: Services
) -> None:
    named, chosen = await posted(database), await posted(database, replace(new(), model_auto=True))
    results = Results(replace(services, catalog=Catalog([SKILLS])))

    with pytest.raises(ModelGone, match="The model oxen is no longer on offer"):
        await results.again(ADA, CHANNEL, named)
    assert (await results.again(ADA, CHANNEL, chosen)).model is None
    for job in (named, chosen):
        assert (await results.remix(ADA, CHANNEL, job, remix())).model is None


async def test_a_removed_prompt_is_not_repeated(database: Database, results: Results) -> None:
    job = await posted(database)
    check_prompt(job)
    removed = replace(job, request=replace(job.request, prompt=""))

    with pytest.raises(PromptRemoved, match="The prompt of this job is no longer stored"):
        check_prompt(removed)
    with pytest.raises(PromptRemoved):
        await results.again(ADA, CHANNEL, removed)


@pytest.mark.parametrize(
    ("options", "changes", "expected"),
    [
        ({}, {}, {}),
        ({"seed": 7}, {}, {"seed": 7}),
        ({"seed": 7}, {"new_seed": True}, {}),
        ({}, {"new_seed": True}, {}),
        ({"output_format": "png"}, {}, {"output_format": "png"}),
        ({}, {"count": 3}, {"count": 3}),
        ({"count": 3}, {"count": 3}, {"count": 3}),
        ({"count": 3}, {"count": 1}, {"count": 1}),
        ({}, {"expand": False}, {"expand_prompt": False}),
        ({"expand_prompt": False}, {"expand": False}, {"expand_prompt": False}),
        ({"expand_prompt": False}, {}, {"expand_prompt": True}),
        ({"negative_prompt": "rain"}, {}, {"negative_prompt": "rain"}),
        ({"negative_prompt": "rain"}, {"negative_prompt": "snow"}, {"negative_prompt": "snow"}),
        ({"negative_prompt": "rain"}, {"negative_prompt": ""}, {}),
        ({}, {"negative_prompt": ""}, {}),
        ({"image_size": "square"}, {"shape": ("image_size", "square")}, {"image_size": "square"}),
        ({"image_size": "square"}, {}, {}),
        ({"image_size": "square"}, {"shape": ("aspect_ratio", "1:1")}, {"aspect_ratio": "1:1"}),
        ({}, {"shape": ("aspect_ratio", "1:1")}, {"aspect_ratio": "1:1"}),
    ],
)
async def test_a_remix_changes_what_the_form_has_and_carries_the_rest_over(
    results: Results,
    options: dict[str, Option],
    changes: dict[str, Any],
    expected: dict[str, Option],
) -> None:
    job = job_of(options, model="skills")

    draft = await results.remix(ADA, CHANNEL, job, remix(**changes))

    assert (draft.source, draft.prompt, draft.model) == (job, "a hare", "skills")
    assert draft.options == expected


async def test_options_that_the_model_no_longer_has_are_dropped(
    services: Services, results: Results
) -> None:
    options: dict[str, Option] = {"style": "ink", "match_input_image": True, "aspect_ratio": "2:1"}

    draft = await results.remix(ADA, CHANNEL, job_of(options), remix(shape=("aspect_ratio", "2:1")))
    assert draft.options == {"match_input_image": True, "aspect_ratio": "2:1"}
    gone = Results(replace(services, catalog=Catalog([SKILLS])))
    kept = await gone.remix(ADA, CHANNEL, job_of({"style": "ink"}), remix(expand=False))
    assert (kept.options, kept.model) == ({"style": "ink", "expand_prompt": False}, None)


def job_of(options: dict[str, Option], *, model: str = "oxen", **values: Any) -> Job:  # noqa: ANN401
    """Return a job that is not stored, without inputs."""
    row = new()
    made = Job(
        *(
            row.id,
            JobStatus.SUCCEEDED,
            1,
            row.route,
            GenerationRequest(model, "a fox", options),
            model,
        ),
        *(1, NOW),
    )
    return replace(made, **values)


def test_an_edit_begins_with_the_stored_picture(results: Results) -> None:
    job, (first,) = job_of({}), made("one")
    draft = results.edit(job, first, "at night", number=2, url="https://cdn/1")

    stored = Attachment(f"easel-{job.id}-2.png", "https://cdn/1", 1000, 48, 32, sha256=first.sha256)
    assert (draft.source, draft.prompt, draft.options) == (job, "at night", {})
    assert (draft.inputs, draft.model) == ((stored,), "oxen")
    assert stored_attachment(job, first, 2) == replace(stored, url="")
    auto = results.edit(replace(job, model_auto=True), first, "at night", number=1)
    assert auto.model is None


def test_the_model_of_an_edit_is_the_jobs_if_it_takes_all_pictures(results: Results) -> None:
    (first,) = made("one")

    def model(key: str, references: int) -> str | None:
        job = job_of({}, model=key)
        return results.edit(job, first, "x", number=1, references=[CAT] * references).model

    assert [model("oxen", 0), model("oxen", 1)] == ["oxen", None]
    assert [model("skills", 3), model("skills", 4)] == ["skills", None]
    assert model("gone", 0) is None
    both = results.edit(job_of({}), first, "x", number=1, references=[CAT, CAT])
    assert both.inputs[1:] == (CAT, CAT)


def test_the_shape_of_a_job_is_its_ratio_else_its_size() -> None:
    both: dict[str, Option] = {"image_size": "square", "aspect_ratio": "1:1"}

    assert shape_of(job_of(both)) == ("aspect_ratio", "1:1")
    assert shape_of(job_of({"image_size": "square"})) == ("image_size", "square")
    assert shape_of(job_of({"match_input_image": True})) is None
    assert shape_of(job_of({})) is None


def test_only_a_flag_and_the_count_have_a_default() -> None:
    options: dict[str, OptionSpec] = {
        "on": Flag(default=True),
        "off": Flag(default=False),
        "shape": Choice(("a",), default="a"),
        "count": Whole(1, 4, default=2),
        "note": Text(),
    }
    spec = ModelSpec("one", "one", "One", "One", options=options, max_inputs=0, price=1)
    found = {name: default_of(spec, name) for name in (*options, "gone")}

    assert found == {
        **dict.fromkeys(("shape", "note", "gone")),
        "on": True,
        "off": False,
        "count": 1,
    }
