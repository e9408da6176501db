"""The recipe as a text: the command to copy, and views that fit into a message."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from bot.catalog import Catalog
from bot.jobs import Attachment, GenerationRequest, Job, JobStatus, Option, Route
from cogs.ui.recipe import command_text, recipe_view

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SPEC = Catalog(()).about("oxen")


def job_of(
    prompt: str = "a fox",
    options: Mapping[str, Option] | None = None,
    *,
    inputs: int = 0,
    private: bool = False,
    drawn: str | None = None,
) -> Job:
    route = Route(1, 2, 3, None, NOW, private=private)
    request = GenerationRequest("oxen", prompt, options or {})
    return Job(
        "aaaaaaaaaaaaaaaa",
        JobStatus.SUCCEEDED,
        7,
        route,
        request,
        "oxen",
        7500,
        NOW,
        cost=7500,
        inputs=(Attachment("a.png", "https://cdn.example/a.png"),) * inputs,
        expanded_prompt=drawn,
    )


def text_of(job: Job) -> str:
    components = recipe_view(job, SPEC).to_components()  # type: ignore[no-untyped-call]
    return "\n".join(each["content"] for each in components[0]["components"])


@pytest.mark.parametrize(
    ("job", "command"),
    [
        (job_of(), "/imagine prompt:a fox model:oxen"),
        (
            job_of(options={"count": 2, "seed": 0, "expand_prompt": False, "aspect_ratio": "2:1"}),
            "/imagine prompt:a fox model:oxen count:2 seed:0 expand_prompt:False aspect_ratio:2:1",
        ),
        (
            job_of(options={"negative_prompt": "blur, `code`"}),
            "/imagine prompt:a fox model:oxen negative_prompt:blur, `code`",
        ),
        (job_of("a\nfox\r\n\tby ```night```"), "/imagine prompt:a fox by '''night''' model:oxen"),
        (job_of("雪中的狐狸"), "/imagine prompt:雪中的狐狸 model:oxen"),
        (job_of(private=True), "/imagine prompt:a fox model:oxen private:True"),
        (job_of(inputs=2), "/edit prompt:a fox model:oxen"),
    ],
)
def test_the_command_repeats_the_request(job: Job, command: str) -> None:
    assert command_text(job) == command


def test_a_recipe_has_everything() -> None:
    options: dict[str, Option] = {"seed": 5, "negative_prompt": "blur"}
    told = text_of(job_of("a *fox*", options, inputs=2, drawn="a red *fox*"))

    assert r"> a \*fox\*" in told
    assert "Without: blur" in told
    assert "seed 5" in told
    assert r"> a red \*fox\*" in told
    assert "```\n/edit prompt:a *fox* model:oxen seed:5 negative_prompt:blur\n```" in told
    assert "Attach the 2 pictures" in told
    assert "7.5 credits" in told
    assert "from 2 pictures" in told
    assert "job aaaaaaaaaaaaaaaa" in told


@pytest.mark.parametrize("letter", ["x", "*", "`", "狐", "🦊", "\n", "a "])
@pytest.mark.parametrize("length", [1, 1500, 2000])
def test_a_recipe_fits_into_a_message(letter: str, length: int) -> None:
    prompt = (letter * length)[:length]
    drawn = (letter * 10_000)[:10_000]
    for negative in (500, 6000):
        options: dict[str, Option] = {"negative_prompt": letter * negative, "seed": 2147483647}
        told = text_of(job_of(prompt, options, inputs=4, drawn=drawn))

        assert len(told) <= 4000
        assert told.count("```") in {0, 2}
