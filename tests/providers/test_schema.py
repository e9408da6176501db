"""The request schema of a model at Oxen: what it lacks is neither offered nor sent."""

import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.catalog import MAX_INPUTS, Choice, OptionSpec, Whole
from bot.catalog import Text as TextOption
from bot.errors import ProviderError, Reason, Taken
from bot.jobs import GenerationRequest, Option
from bot.providers.base import Finished
from bot.providers.oxen.model import oxen_spec, table_options
from bot.providers.oxen.provider import Oxen
from bot.providers.oxen.rows import INPUT, InputField, result_of
from bot.providers.oxen.schema import schema_of
from bot.sandbox.http.faults import Answer
from bot.sandbox.oxen.server import FakeOxen
from bot.sandbox.parameters import Addresses, Kind, OneOf, Text
from tests.providers.clients import MEMBER, oxen_at
from tests.providers.test_oxen import around_now, ended, picture_uri

MODEL = "other-model"
KEY = "key"
TEXT = {"type": "string"}
PICTURE = "https://example.com/1.png"
OTHER = "https://example.com/2.png"


@pytest.fixture
async def service() -> AsyncIterator[FakeOxen]:
    parameters: dict[str, Kind] = {
        "prompt": Text(),
        "input_images": Addresses(3),
        "negative_prompt": Text(),
    }
    async with FakeOxen(
        key=KEY, model=MODEL, parameters=parameters, generation_seconds=0.01
    ) as running:
        yield running
        assert running.violations == []


@pytest.fixture
def oxen(session: aiohttp.ClientSession, service: FakeOxen) -> Oxen:
    return oxen_at(session, service.url, key=KEY, model=MODEL)


def asking(*inputs: str, **options: Option) -> GenerationRequest:
    return GenerationRequest("oxen", "a fox", options, inputs)


async def test_what_the_schema_lacks_is_not_offered(oxen: Oxen) -> None:
    (spec,) = await oxen.describe()

    assert set(spec.options) == {"count", "negative_prompt"}
    assert (spec.max_inputs, spec.needs_input, spec.problem) == (3, False, "")


async def test_inputs_go_into_the_schemas_own_parameter(oxen: Oxen, service: FakeOxen) -> None:
    await oxen.describe()
    request = asking(picture_uri(), picture_uri())

    (submitted,) = (await oxen.submit(request, MEMBER)).generations

    (generation,) = service.generations.values()
    assert generation.body["input_images"] == list(request.inputs)
    assert isinstance(await ended(oxen, submitted.remote_id), Finished)
    found = await oxen.find(request, *around_now())
    assert [each.remote_id for each in found] == [submitted.remote_id]
    assert await oxen.find(asking(), *around_now()) == ()


@pytest.mark.parametrize("request_", [asking(seed=7), asking(*[PICTURE] * 4)], ids=["seed", "4"])
async def test_nothing_that_the_schema_lacks_is_sent(
    oxen: Oxen, service: FakeOxen, request_: GenerationRequest
) -> None:
    with pytest.raises(ProviderError) as caught:
        await oxen.submit(request_, MEMBER)

    assert (caught.value.reason, caught.value.taken) == (Reason.INVALID, Taken.REFUSED)
    assert service.generations == {}


async def test_a_job_of_the_last_run_waits_for_the_schema(oxen: Oxen, service: FakeOxen) -> None:
    """Nothing is known of another model after a start, until its schema is read."""
    service.faults.add("GET", "/api/ai/models/.*", Answer(500, {"error": "busy"}), times=3)
    with pytest.raises(ProviderError) as caught:
        await oxen.submit(asking(picture_uri()), MEMBER)
    assert caught.value.taken is Taken.NO
    assert service.generations == {}

    await oxen.submit(asking(picture_uri()), MEMBER)
    assert len(service.generations) == 1


def test_of_another_model_only_the_queues_own_option_is_known_at_first() -> None:
    spec = oxen_spec(price=1, model=MODEL)

    assert (set(spec.options), spec.max_inputs) == ({"count"}, 0)
    assert (set(oxen_spec(price=1).options), oxen_spec(price=1).max_inputs) == (
        set(table_options()),
        INPUT.most,
    )


DEFS = {
    "Place": {"type": "object"},
    "Uri": {"type": "string"},
    "Ratio": {"type": "string", "enum": ["square", "wide"]},
    "Circle": {"$ref": "#/$defs/Circle"},
}


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"input_image": {"type": "string", "format": "uri"}}, InputField("input_image")),
        ({"input_image": {"anyOf": [{"type": "null"}, TEXT]}}, InputField("input_image")),
        ({"image": {}}, None),
        ({"image": {"type": "string", "enum": ["a"]}}, None),
        ({"input_image": {"$ref": "#/$defs/Place"}}, None),
        ({"input_image": {"$ref": "#/$defs/Uri"}}, InputField("input_image")),
        ({"images": {"type": "array", "items": {"type": "object"}}}, None),
        ({"images": {"type": "array", "maxItems": 0}}, None),
        ({"images": {"type": "array", "minItems": 2}}, None),
        ({"image_urls": {"type": "array"}}, InputField("image_urls", MAX_INPUTS, is_list=True)),
        (
            {"input_images": {"type": ["array", "null"], "maxItems": 2}},
            InputField("input_images", 2, is_list=True),
        ),
        ({"images": {"type": "array", "maxItems": 9}}, InputField("images", 4, is_list=True)),
        ({"images": {"type": "array", "maxItems": "9"}}, None),
        ({"images": TEXT, "input_image": TEXT}, InputField("input_image")),
        ({"input_image": {"type": "integer"}}, None),
        ({"input_image": "uri"}, None),
        ({"picture": TEXT}, None),
    ],
    ids=str,
)
def test_the_parameter_of_pictures(properties: dict[str, object], field: InputField | None) -> None:
    model = {"request_schema": {"properties": {"prompt": TEXT, **properties}, "$defs": DEFS}}
    schema = schema_of(model, table_options())

    assert schema is not None
    assert (schema.input, schema.problem) == (field, "")


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("seed", TEXT),
        ("seed", {"type": "array"}),
        ("enable_prompt_expansion", {"type": "integer"}),
        ("aspect_ratio", {"type": "object"}),
        ("negative_prompt", {"type": ["array", "null"]}),
    ],
)
def test_an_option_of_another_type_is_not_offered(name: str, stated: dict[str, object]) -> None:
    model = {"request_schema": {"properties": {"prompt": TEXT, name: stated}}}
    schema = schema_of(model, table_options())

    assert schema is not None
    assert set(schema.options) == {"count"}


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"properties": {"image": TEXT}}, "it has no text parameter named prompt"),
        ({"properties": {"prompt": {"$ref": "#/x"}}}, "it has no text parameter named prompt"),
        ({"properties": {"prompt": {"enum": ["a"]}}}, "it has no text parameter named prompt"),
        ({}, "its parameters cannot be read"),
        ({"properties": []}, "its parameters cannot be read"),
        ({"oneOf": [{}, {}]}, "its parameters cannot be read"),
        ({"$ref": "#/$defs/In", "$defs": {"In": {"properties": {"prompt": TEXT}}}}, ""),
        ({"properties": {"prompt": {"type": "array"}}}, "it has no text parameter named prompt"),
        ({"properties": {"prompt": "text"}}, "it has no text parameter named prompt"),
        (
            {"properties": {"prompt": TEXT, "mask": TEXT}, "required": ["prompt", "mask"]},
            "it requires the parameter mask, which has no default",
        ),
        (
            {"properties": {"prompt": TEXT}, "required": ["prompt", "x" * 99]},
            f"it requires the parameter {'x' * 40}, which has no default",
        ),
        (
            {"properties": {"prompt": TEXT}, "required": ["a\n\x1b[2Jb"]},
            "it requires the parameter a [2Jb, which has no default",
        ),
        ({"properties": {"prompt": TEXT, "a": {"default": 1}}, "required": ["a", 5]}, ""),
        ({"properties": {"prompt": TEXT}, "required": "mask"}, ""),
    ],
)
async def test_an_unusable_schema_is_one_clear_line(
    session: aiohttp.ClientSession,
    service: FakeOxen,
    caplog: pytest.LogCaptureFixture,
    schema: dict[str, object],
    problem: str,
) -> None:
    service.faults.add(
        "GET", "/api/ai/models/.*", Answer(200, {"json_request_schema": schema}), times=2
    )
    oxen = oxen_at(session, service.url, key=KEY, model=MODEL)
    with caplog.at_level(logging.ERROR):
        (spec,) = await oxen.describe()

    assert spec.problem == problem
    assert spec.takes(asking()) is not bool(problem)
    line = f"the request schema of the model {MODEL} is unusable: {problem}"
    assert [record.getMessage() for record in caplog.records] == ([line] if problem else [])
    named = [each for each in await oxen.check() if each.text == line]
    assert [each.remedy for each in named] == (
        ["Set OXEN_MODEL to a model that makes a picture of a prompt."] if problem else []
    )


@pytest.mark.parametrize(
    ("stated", "longest"),
    [(17, 17), (5000, 2000), (None, 2000), (0, 2000), (-1, 2000), ("17", 2000), (True, 2000)],
)
def test_the_longest_prompt_is_the_schemas(stated: object, longest: int) -> None:
    model = {"request_schema": {"properties": {"prompt": {**TEXT, "maxLength": stated}}}}
    schema = schema_of(model, table_options())

    assert schema is not None
    assert schema.longest_prompt == longest


async def test_a_model_for_edits_alone_takes_no_prompt_without_a_picture(oxen: Oxen) -> None:
    model = {
        "request_schema": {
            "properties": {"prompt": TEXT, "image": TEXT},
            "required": ["prompt", "image"],
        }
    }
    schema = schema_of(model, table_options())

    assert schema is not None
    assert (schema.needs_input, schema.problem) == (True, "")


def test_inputs_that_a_row_repeats_are_no_result() -> None:
    row = {"status": "succeeded", "image_urls": [PICTURE]}

    assert result_of(row, InputField("image_urls", is_list=True)) == ()
    assert result_of(row) == (PICTURE,)


RATIOS = ("1:1", "16:9")
NOT_READ: list[tuple[str, object]] = [
    ("aspect_ratio", {}),
    ("aspect_ratio", TEXT),
    ("aspect_ratio", {"enum": [1, 2]}),
    ("aspect_ratio", {"enum": []}),
    ("aspect_ratio", {"enum": ["x" * 101, " ", "a\nb"]}),
    ("aspect_ratio", {"anyOf": [{"enum": ["1:1"]}, {"enum": ["9:9"]}, {"type": "null"}]}),
    ("aspect_ratio", {"$ref": "#/$defs/Circle"}),
    ("aspect_ratio", {"$ref": "https://example.com/schema"}),
    ("aspect_ratio", {"$ref": "x/$defs/Ratio"}),
    ("aspect_ratio", {"$ref": 5}),
    ("aspect_ratio", {"not": {"enum": ["1:1"]}}),
    ("seed", {"$ref": "#/$defs/Place"}),
    ("seed", {"type": "integer", "enum": [1, 2]}),
    ("seed", {"type": "integer", "minimum": 9, "maximum": 2}),
    ("seed", {"type": "integer", "minimum": "0"}),
    ("enable_prompt_expansion", {"type": "boolean", "enum": [False]}),
    ("negative_prompt", {"type": "string", "maxLength": 0}),
    ("negative_prompt", {"type": "string", "enum": ["blur"]}),
]


@pytest.mark.parametrize(("name", "stated"), NOT_READ, ids=str)
def test_an_option_that_cannot_be_read_is_not_offered(name: str, stated: object) -> None:
    model = {"request_schema": {"properties": {"prompt": TEXT, name: stated}, "$defs": DEFS}}
    schema = schema_of(model, table_options())

    assert schema is not None
    assert set(schema.options) == {"count"}


@pytest.mark.parametrize(
    ("name", "stated", "option"),
    [
        ("aspect_ratio", {"$ref": "#/$defs/Ratio"}, Choice(("square", "wide"))),
        (
            "aspect_ratio",
            {"allOf": [{"$ref": "#/$defs/Ratio"}], "default": "wide"},
            Choice(("square", "wide"), default="wide"),
        ),
        ("aspect_ratio", {"const": "1:1"}, Choice(("1:1",))),
        ("aspect_ratio", {"enum": ["1:1", None]}, Choice(("1:1",))),
        (
            "aspect_ratio",
            {"anyOf": [{"anyOf": [{"enum": ["a"]}, {"type": "null"}]}, {"type": "null"}]},
            Choice(("a",)),
        ),
        ("seed", {"type": "integer", "minimum": 1.0, "maximum": 10.0}, Whole(1, 10)),
        ("seed", {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9}, Whole(1, 8)),
        ("seed", {"minimum": 0, "exclusiveMinimum": True, "maximum": 9}, Whole(1, 9)),
        ("seed", {"type": ["integer", "null"], "minimum": 5, "maximum": 9}, Whole(5, 9)),
        ("negative_prompt", {"type": "string", "maxLength": 500}, TextOption(500)),
    ],
    ids=str,
)
def test_an_option_is_what_the_schema_says(
    name: str, stated: dict[str, object], option: OptionSpec
) -> None:
    model = {"request_schema": {"properties": {"prompt": TEXT, name: stated}, "$defs": DEFS}}
    schema = schema_of(model, table_options())

    assert schema is not None
    options = dict(schema.options)
    del options["count"]
    assert list(options.values()) == [option]


async def test_a_value_that_has_left_the_schema_is_not_sent(
    session: aiohttp.ClientSession, service: FakeOxen
) -> None:
    service.parameters = {"prompt": Text(), "aspect_ratio": OneOf(RATIOS)}
    oxen = oxen_at(session, service.url, key=KEY, model=MODEL)
    with pytest.raises(ProviderError) as caught:
        await oxen.submit(asking(aspect_ratio="2:1"), MEMBER)
    assert caught.value.taken is Taken.REFUSED

    await oxen.submit(asking(aspect_ratio="1:1"), MEMBER)
    assert len(service.generations) == 1


async def test_after_a_restart_the_schema_is_read_before_a_search(
    session: aiohttp.ClientSession, oxen: Oxen, service: FakeOxen
) -> None:
    service.manual = True
    request = asking(picture_uri())
    (submitted,) = (await oxen.submit(request, MEMBER)).generations

    restarted = oxen_at(session, service.url, key=KEY, model=MODEL)
    found = await restarted.find(request, *around_now())

    assert [each.remote_id for each in found] == [submitted.remote_id]


async def test_after_a_restart_an_input_is_no_result(
    session: aiohttp.ClientSession, service: FakeOxen
) -> None:
    service.parameters = {"prompt": Text(), "images": Addresses(3)}
    row = {"generation_id": "g1", "status": "succeeded", "images": [PICTURE]}
    service.faults.add("GET", "/api/ai/queue/g1", Answer(200, {**row, "result": {"url": OTHER}}))
    update = await oxen_at(session, service.url, key=KEY, model=MODEL).fetch("g1")

    assert isinstance(update, Finished)
    assert update.pictures == (OTHER,)
