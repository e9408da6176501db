"""The recipe as a text: the command to copy, and views that fit into a message."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.catalog import Catalog
from bot.jobs import Attachment, GenerationRequest, Job, JobStatus, Option, Route
from bot.pictures.marks import Recipe
from cogs.ui.recipe import command_block, command_text, file_recipe_view, recipe_view
from tests.support.views import is_amber, texts_of

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


FACTS = "-# oxen · 7.5 credits · <t:1795737600:R> · job aaaaaaaaaaaaaaaa"


def test_a_recipe_has_no_empty_parts() -> None:
    view = recipe_view(job_of(), SPEC)

    assert texts_of(view) == [
        "### Recipe\n> a fox",
        "```\n/imagine prompt:a fox model:oxen\n```",
        FACTS,
    ]
    assert not is_amber(view)
    waiting = replace(job_of(), cost=None)
    assert texts_of(recipe_view(waiting, SPEC))[-1] == FACTS.replace(" · 7.5 credits", "")


def test_a_recipe_lists_its_parts_in_order() -> None:
    options: dict[str, Option] = {"negative_prompt": "blur", "seed": 5, "count": 2}
    view = recipe_view(job_of(options=options, inputs=1, drawn="a red fox"), SPEC)

    assert texts_of(view) == [
        "### Recipe\n> a fox",
        "Without: blur",
        "seed 5 · count 2",
        "The service has drawn this longer prompt:\n> a red fox",
        "```\n/edit prompt:a fox model:oxen negative_prompt:blur seed:5 count:2\n```\n"
        "Attach the picture as `image`.",
        FACTS.replace("oxen", "oxen · from 1 picture"),
    ]


def test_the_recipe_of_a_file_is_no_proof() -> None:
    options: dict[str, Option] = {"negative_prompt": "blur", "seed": 5, "Bad name": 1, "x" * 33: 1}
    view = file_recipe_view(Recipe(model="*m*", prompt="a fox", options=options))

    assert texts_of(view) == [
        "### Recipe, as the file says\n> a fox",
        "Without: blur",
        "seed 5",
        "```\n/imagine prompt:a fox model:*m* negative_prompt:blur seed:5\n```",
        r"-# \*m\* · anybody can write this into a file: no proof that the picture was made so",
    ]
    assert is_amber(view)
    bare = file_recipe_view(Recipe(model="m", prompt="a fox", options={"x" * 32: 1}))
    assert texts_of(bare)[1] == f"{'x' * 32} 1"
    assert len(texts_of(file_recipe_view(Recipe(model="m", prompt="a fox")))) == 3
    for model, name in (("x" * 100, "x" * 100), ("x" * 99 + "*", "x" * 99 + "…")):
        shown = texts_of(file_recipe_view(Recipe(model=model, prompt="a fox")))[-1]
        assert shown.startswith(f"-# {name} · ")


@pytest.mark.parametrize(
    ("inputs", "note"),
    [
        (0, ""),
        (1, "\nAttach the picture as `image`."),
        (2, "\nAttach the 2 pictures, as `image` first."),
    ],
)
def test_a_command_says_what_to_attach(inputs: int, note: str) -> None:
    assert command_block(job_of(inputs=inputs)).partition("\n```")[2] == note


def test_a_command_of_2900_characters_is_shown() -> None:
    rest = len("/imagine prompt: model:oxen negative_prompt:")

    def block(length: int) -> str:
        options: dict[str, Option] = {"negative_prompt": "x" * (length - rest - 5)}
        return command_block(job_of(options=options))

    assert len(block(2900)) == 2900 + len("```\n\n```")
    assert block(2901) == "The command is too long for a message."


def test_ten_options_of_sixty_characters_are_listed() -> None:
    options: dict[str, Option] = {"negative_prompt": "blur"}
    options |= {f"option_{each}": "x" * (50 + each) for each in range(12)}
    listed = texts_of(recipe_view(job_of(options=options), SPEC))[2].split(" · ")

    assert [len(each.partition(" ")[2]) for each in listed] == [*range(50, 60)]
    long = texts_of(recipe_view(job_of(options={"a": "x" * 60, "b": "x" * 61}), SPEC))[1]
    assert long == f"a {'x' * 60} · b {'x' * 59}…"


@pytest.mark.parametrize("of_file", [False, True])
def test_the_prompts_share_what_the_command_leaves(of_file: bool) -> None:
    """A share has a third of the rest, 60 characters at least and 1,200 at most."""

    def shown(prompt: str, negative: str = "") -> list[str]:
        options: dict[str, Option] = {"negative_prompt": negative} if negative else {}
        if of_file:
            return texts_of(file_recipe_view(Recipe(model="oxen", prompt=prompt, options=options)))
        return texts_of(recipe_view(job_of(prompt, options), SPEC))

    def lengths(prompt: str, negative: str = "") -> list[int]:
        title, *rest = shown(prompt, negative)
        negatives = [each[9:] for each in rest if each.startswith("Without: ")]
        return [len(each) for each in (title.partition("> ")[2], *negatives)]

    block = len("```\n/imagine prompt: model:oxen\n```")
    assert lengths("x" * 1500) == [(3800 - 1500 - block) // 3]
    assert lengths("x" * 2800) == [(3800 - 2800 - block) // 3]
    assert lengths("x" * 4000) == [1200]
    assert lengths("x" * 1000, "y" * 1000)[0] == lengths("x" * 1000, "y" * 1000)[1] < 1000


def of_both(prompt: str, options: Mapping[str, Option]) -> tuple[list[str], list[str]]:
    """Return the texts of the recipe of a job, and of that of a file."""
    file = Recipe(model="oxen", prompt=prompt, options=options)
    return texts_of(recipe_view(job_of(prompt, options), SPEC)), texts_of(file_recipe_view(file))


def test_options_leave_less_to_the_prompts() -> None:
    options: dict[str, Option] = {f"option_{each}": "*" * 30 for each in "abcdefghij"}

    for title, listed, command, _ in of_both("x" * 1500, options):
        assert len(title.partition("> ")[2]) == (3800 - len(command) - len(listed)) // 3


def test_a_prompt_keeps_sixty_characters_beside_the_longest_command() -> None:
    options: dict[str, Option] = {f"option_of_the_model_{each}": "*" * 100 for each in "abcdefghij"}

    for title, listed, command, _ in of_both("x" * 1600, options):
        assert 3800 - len(command) - len(listed) < 180
        assert title.endswith(f"\n> {'x' * 59}…")
