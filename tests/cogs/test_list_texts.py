"""The replies to `/jobs`, `/models`, `/help`, `/privacy` and `/my`, as a member reads them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.catalog import Catalog, Choice, Flag, ModelSpec, OptionSpec, Text, Whole
from bot.jobs import Job, JobStatus, Notify
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from bot.services import Policies
from cogs.ui.lists import help_view, job_choice, jobs_view, link_of, models_view
from cogs.ui.preferences import notify_view
from cogs.ui.privacy import page_links, privacy_view
from tests.support.rows import NOW
from tests.support.views import DONE, DONE_AT, JOB, SECONDS, text_of, texts_of, with_prompt

CATALOG = Catalog([oxen_spec(price=7500), skills_spec(price=20_000)])
LINK = "https://discord.com/channels/10/20"


def jobs(*listed: Job) -> list[str]:
    return texts_of(jobs_view(listed, CATALOG))


def test_without_jobs_the_list_says_what_to_do() -> None:
    assert jobs() == ["You have no jobs yet. Request a picture with /imagine."]


def test_a_job_is_listed_with_its_state_service_and_link() -> None:
    running = replace(JOB, status=JobStatus.RUNNING, running_at=NOW + timedelta(seconds=5))
    gone = replace(JOB, request=replace(JOB.request, model="gone", prompt="a *fox*"))

    assert jobs(DONE, running, gone) == [
        "### Your jobs",
        f"- **Done** <t:{DONE_AT}:R> · a fox · Oxen.ai · [show]({LINK}/50)\n"
        f"- **Drawing** <t:{SECONDS + 5}:R> · a fox · Oxen.ai\n"
        rf"- **Queued** <t:{SECONDS}:R> · a \*fox\* · gone",
    ]
    settled = replace(running, settled_at=NOW + timedelta(seconds=9))
    assert f"<t:{SECONDS + 9}:R>" in jobs(settled)[1]


def test_a_prompt_in_the_list_has_eighty_characters() -> None:
    assert f" · {'x' * 80} · " in jobs(with_prompt(JOB, "x" * 80))[1]
    assert f" · {'x' * 79}… · " in jobs(with_prompt(JOB, "x" * 81))[1]


def test_a_link_leads_to_the_result_else_to_the_status_message() -> None:
    posted = replace(JOB, route=replace(JOB.route, status_message_id=40))
    private = replace(DONE, route=replace(DONE.route, private=True), result_channel_id=20)

    assert link_of(JOB) is None
    assert link_of(posted) == f"{LINK}/40"
    assert link_of(replace(posted, status=JobStatus.FAILED)) is None
    assert link_of(replace(DONE, route=posted.route)) == f"{LINK}/50"
    assert link_of(private) is None
    assert link_of(replace(posted, route=replace(posted.route, private=True))) is None


def test_jobs_that_do_not_fit_into_a_message_are_counted() -> None:
    """A line of this job has 139 characters: 25 of them have 3,500 with their ends."""
    prompt = "x" * 80
    long = replace(
        with_prompt(JOB, prompt), request=replace(JOB.request, model="m" * 24, prompt=prompt)
    )
    assert len(jobs(long)[1]) == 139

    assert len(jobs(*[long] * 25)) == 2
    longer = replace(long, request=replace(long.request, model="m" * 25))
    assert jobs(*[long] * 24, longer)[2] == "-# Only 24 of your jobs are listed"
    assert jobs(*[long] * 26)[1].count("\n") == 24
    assert jobs(*[long] * 26)[2] == "-# Only 25 of your jobs are listed"
    assert jobs(longer, *[JOB] * 3)[1].count("\n") == 3


def test_a_choice_of_a_job_has_a_hundred_characters() -> None:
    assert job_choice(DONE) == "Done: a fox"
    assert job_choice(with_prompt(DONE, "x" * 94)) == f"Done: {'x' * 94}"
    assert job_choice(with_prompt(DONE, "x" * 95)) == f"Done: {'x' * 93}…"


def model(**changes: object) -> str:
    spec = ModelSpec("m", "m", "Model M", "M", {}, max_inputs=0, price=7500)
    return text_of(models_view(Catalog([replace(spec, **changes)]), "de"))  # type: ignore[arg-type]


def test_a_model_has_its_price_and_its_pictures() -> None:
    assert model() == "### Model M\n`model:m` · about 7,5 credits a picture · edits no pictures\n"
    assert "· 1 credit a picture · edits one picture\n" in model(
        price=1000, price_known=True, max_inputs=1
    )
    assert "· edits up to 2 pictures\n" in model(max_inputs=2)
    unusable = model(problem="It is broken.", options={"seed": Whole(0, 9)})
    assert unusable == "### Model M\n`model:m` · makes no pictures at the moment"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (Choice(("a", "*b*"), default="a"), r"**a**, \*b\*"),
        (Choice(("a", "b"), default="*b*"), "a, b"),
        (Choice(("a", "*b*"), default="*b*"), r"a, **\*b\***"),
        (Whole(0, 5), "0 to 5"),
        (Flag(default=True), "yes or no, **yes** by default"),
        (Flag(default=False), "yes or no, **no** by default"),
        (Text(), "text"),
        (Text(500), "text, up to 500 characters"),
        (Text(0), "text, up to 0 characters"),
    ],
)
def test_an_option_is_listed_with_its_values(option: OptionSpec, text: str) -> None:
    assert model(options={"x": option, "y": option}).endswith(f"\n- `x` {text}\n- `y` {text}")


def test_two_hundred_characters_of_the_values_are_listed() -> None:
    values = tuple("x" * 99 for _ in range(2))

    assert model(options={"x": Choice(values)}).endswith(f"`x` {', '.join(values)}")
    longer = (*values[:1], "x" * 100)
    assert model(options={"x": Choice(longer)}).endswith(f"`x` {values[0]} and 1 more")


def test_every_model_has_a_text_of_its_own() -> None:
    titles = [each.partition("\n")[0] for each in texts_of(models_view(CATALOG, "en-US"))]

    assert titles == ["### Qwen Image 2 Pro at Oxen.ai", "### Qwen Image 2 Pro at skills.video"]


def test_the_help_lists_commands_menus_and_pages() -> None:
    policies = Policies(terms_url="https://example.org/t")
    texts = texts_of(
        help_view([("imagine", "Make"), ("edit", "Change")], ["Edit image", "Recipe"], policies)
    )

    assert texts[0].startswith("### Easel makes pictures\n")
    assert texts[1] == (
        "- `/imagine` Make\n- `/edit` Change\n"
        "- *Apps → Edit image* in the menu of a message with pictures\n"
        "- *Apps → Recipe* in the menu of a message with pictures"
    )
    assert texts[2:] == [
        "-# Every picture costs credits; /usage shows how many you have used. "
        "Failed and canceled jobs cost nothing.",
        "-# [Terms](<https://example.org/t>)",
    ]
    assert len(texts_of(help_view([("imagine", "Make")], [], Policies()))) == 3


@pytest.mark.parametrize(
    ("policies", "links"),
    [
        (Policies(), []),
        (Policies(support_url="https://s.example"), ["-# [Support](<https://s.example>)"]),
        (
            Policies("https://p.example", "https://t.example", "https://s.example"),
            [
                "-# [Privacy policy](<https://p.example>) · [Terms](<https://t.example>) · "
                "[Support](<https://s.example>)"
            ],
        ),
    ],
)
def test_the_pages_of_the_operator_are_linked(policies: Policies, links: list[str]) -> None:
    assert page_links(policies) == links
    assert texts_of(privacy_view(policies, CATALOG))[4:] == links


@pytest.mark.parametrize(
    ("policies", "times"),
    [
        (
            Policies(),
            "files of pictures for 365 days after the last job that used them, or earlier if the "
            "space is needed. What lets",
        ),
        (
            Policies(keep_days=1, keep_prompts_days=1),
            "files of pictures for 1 day after the last job that used them, or earlier if the "
            "space is needed. Prompts, and the names of attached pictures, for 1 day after the "
            "request. What lets",
        ),
        (Policies(keep_days=2, keep_prompts_days=0), "pictures, for 0 days after the request."),
        (Policies(keep_prompts_days=30), "attached pictures, for 30 days after the request."),
    ],
)
def test_privacy_says_how_long_data_is_stored(policies: Policies, times: str) -> None:
    stored, shared, own, contact = texts_of(privacy_view(policies, CATALOG))

    assert times in stored
    assert (
        "without your name: Qwen Image 2 Pro at Oxen.ai, Qwen Image 2 Pro at skills.video. "
        in shared
    )
    assert own.startswith("**Your data:**")
    assert contact == "For questions and corrections, ask the people who run this bot."


def test_privacy_points_to_the_support_if_there_is_one() -> None:
    policies = Policies(support_url="https://s.example")

    assert texts_of(privacy_view(policies, CATALOG))[3] == (
        "For questions and corrections, write to the operator: see Support below."
    )


def test_the_choice_of_notifications_is_shown_or_was_changed() -> None:
    choice = "**Silent: a message in the channel without a ping.**"
    scope = (
        "-# This choice applies in every server. "
        "The option `private` of a command takes precedence."
    )

    assert texts_of(notify_view(Notify.SILENT)) == [
        f"{choice} Choose another with the option `how`.",
        scope,
    ]
    assert texts_of(notify_view(Notify.SILENT, changed=True)) == [
        f"{choice} Your next results arrive like this.",
        scope,
    ]
