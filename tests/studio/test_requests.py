"""Requests for pictures: what is stored of them, which model takes them, and what refuses them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.catalog import Catalog, EmptyPrompt, UnknownModel, UnknownOption
from bot.errors import UserError
from bot.health import Circuit, CircuitState
from bot.jobs import Attachment, JobStatus
from bot.ledger import balance
from bot.option_values import OptionElsewhere
from bot.periods import PeriodKind
from bot.pictures.inputs import InputElsewhere
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from bot.quotas import (
    INPUT_BYTES,
    INPUT_PERIOD,
    Member,
    MemberBlocked,
    ProviderBudgetExhausted,
    Quotas,
    TooManyInputBytes,
    UnsafeNotAllowed,
)
from bot.rights import (
    ChannelNotAllowed,
    EditNotAllowed,
    ModelNotAllowed,
    PrivateNotAllowed,
    Rights,
    RoleNotAllowed,
    ServerSettings,
    Subject,
    TooManyPictures,
)
from bot.service_balances import NoCreditsAtService, ServiceBalance, ServiceBalances
from bot.services import Services
from bot.store import jobs, ledger, members, servers
from bot.store.database import Database
from bot.store.holds import Held
from bot.studio import AlreadyRequested, Restarting, Studio
from bot.studio.requests import PictureRequest, Requests
from tests.support.rights import credits
from tests.support.rows import NOW, new_job, one
from tests.support.studio import ADA, CHANNEL, stored

ROUTE = new_job().route
STORED = Attachment("cat.png", "", size=10, sha256="a" * 64)
ELSEWHERE = Attachment("dog.png", "https://example.com/dog.png", size=10)
OXEN, SKILLS = oxen_spec(price=7500), skills_spec(price=20_000)


@pytest.fixture
def both(services: Services) -> Services:
    """Services with models of two providers."""
    return replace(services, catalog=Catalog([OXEN, SKILLS]))


def wanted(prompt: str = "a fox", origin_id: int = 1, **values: Any) -> PictureRequest:  # noqa: ANN401
    return PictureRequest(origin_id, prompt, **{"options": {}, **values})


def requests_on(services: Services) -> Requests:
    return Requests(services, lambda: None)


async def created(services: Services, request: PictureRequest, member: Member = ADA) -> Held:
    return await requests_on(services).create(member, ROUTE, request)


async def chosen(services: Services, **values: Any) -> str:  # noqa: ANN401
    """Return the model of a job that a request leads to."""
    return (await created(services, wanted(**values))).job.request.model


async def all_jobs(database: Database) -> list[str]:
    async with database.reading() as view:
        return [job.request.prompt for job in await members.recent_of(view, ADA.user_id, 100)]


async def test_a_request_is_stored_as_a_queued_job_with_a_hold(
    database: Database, both: Services
) -> None:
    allowance = credits(900, PeriodKind.WEEK)
    async with database.transaction() as tx:
        rights = Rights(allowance=allowance, models=frozenset({"skills", "oxen"}))
        await servers.store_rights(tx, 10, Subject.DEFAULT, "", rights)
    source = await one(database)
    options = {"count": "3", "negative_prompt": "ra\0in", "aspect_ratio": "16:9 (wide)"}
    request = wanted(
        *("  a \ud800fox\0 ", 77),
        options=options,
        inputs=[STORED],
        model="Oxen",
        source_job_id=source.id,
        locale="de",
    )

    job = (await created(both, request)).job

    assert job == await stored(database, job.id)
    assert (job.status, job.user_id, job.route) == (JobStatus.QUEUED, 1, ROUTE)
    assert job.request.prompt == "a fox"
    assert job.request.options == {"count": 3, "negative_prompt": "rain", "aspect_ratio": "16:9"}
    assert (job.request.model, job.provider, job.model_auto) == ("oxen", "oxen", False)
    assert (job.price, job.created_at, job.origin_id) == (22_500, NOW, 77)
    assert (job.inputs, job.request.inputs) == ((STORED,), ("",))
    assert (job.source_job_id, job.locale, job.allowance) == (source.id, "de", allowance)
    assert job.allowed_models == frozenset({"skills", "oxen"})
    assert source.allowed_models is None
    async with database.reading() as view:
        assert balance(await ledger.entries_of(view, job.id)) == -22_500


async def test_a_member_who_names_no_model_gets_the_first_that_takes_the_request(
    both: Services,
) -> None:
    job = (await created(both, wanted())).job
    assert (job.request.model, job.model_auto) == ("oxen", True)

    assert await chosen(both, origin_id=2, options={"image_size": "square_hd"}) == "skills"
    both.health.adopt("oxen", CircuitState(Circuit.OPEN, NOW))
    assert await chosen(both, origin_id=3) == "skills"
    assert await chosen(both, origin_id=4, options={"match_input_image": False}) == "oxen"
    assert await chosen(low(both, "skills"), origin_id=5) == "oxen"


async def test_an_interaction_has_one_job(database: Database, both: Services) -> None:
    await created(both, wanted("one", 5))
    with pytest.raises(AlreadyRequested):
        await created(both, wanted("two", 5))
    await created(both, wanted("three", 6))

    assert {*await all_jobs(database)} == {"one", "three"}


async def test_a_program_that_ends_takes_no_request(database: Database, both: Services) -> None:
    studio = Studio(both, wake=lambda: None)
    await studio.requests.create(ADA, ROUTE, wanted("before"))
    studio.close()

    with pytest.raises(Restarting, match=r"nothing was charged\. Try again in a minute"):
        await studio.requests.create(ADA, ROUTE, wanted("after", 2))
    assert await all_jobs(database) == ["before"]


@pytest.mark.parametrize(
    ("quotas", "values", "refusal"),
    [
        (Quotas(blocked_users=frozenset({1})), {}, MemberBlocked),
        (Quotas(), {"prompt": " \0 "}, EmptyPrompt),
        (Quotas(), {"model": "gone"}, UnknownModel),
        (Quotas(), {"options": {"style": "ink"}}, UnknownOption),
        (Quotas(), {"model": "oxen", "options": {"image_size": "square"}}, OptionElsewhere),
        (Quotas(), {"model": "skills", "options": {"safety_checker": False}}, UnsafeNotAllowed),
        (Quotas(), {"model": "skills", "options": {"safety_checker": "False"}}, UnsafeNotAllowed),
        (Quotas(), {"options": {"safety_checker": False}}, UnsafeNotAllowed),
        (Quotas(), {"inputs": [ELSEWHERE]}, InputElsewhere),
    ],
)
async def test_a_refused_request_stores_nothing(
    database: Database,
    both: Services,
    quotas: Quotas,
    values: dict[str, Any],
    refusal: type[UserError],
) -> None:
    with pytest.raises(refusal):
        await created(replace(both, quotas=quotas), wanted(**values))
    assert await all_jobs(database) == []


@pytest.mark.parametrize(
    ("settings", "rights", "refusal"),
    [
        (ServerSettings(channels=frozenset({CHANNEL + 1})), Rights(), ChannelNotAllowed),
        (ServerSettings(roles=frozenset({8})), Rights(), RoleNotAllowed),
        (ServerSettings(), Rights(edit=False), EditNotAllowed),
        (ServerSettings(), Rights(private=False), PrivateNotAllowed),
        (ServerSettings(), Rights(pictures=1), TooManyPictures),
        (ServerSettings(channels=frozenset({CHANNEL})), Rights(), None),
        (ServerSettings(channels=frozenset({30})), Rights(), None),  # a thread of it
        (ServerSettings(roles=frozenset({7, 8})), Rights(), None),
        (ServerSettings(), Rights(pictures=2), None),
    ],
)
async def test_the_rights_in_the_server_are_checked(
    database: Database,
    services: Services,
    settings: ServerSettings,
    rights: Rights,
    refusal: type[UserError] | None,
) -> None:
    async with database.transaction() as tx:
        await servers.store_settings(tx, 10, settings)
        await servers.store_rights(tx, 10, Subject.DEFAULT, "", rights)
    member = replace(ADA, role_ids=frozenset({7}), parent_channel_id=30)
    route = replace(ROUTE, private=True)
    request = wanted(options={"count": 2}, inputs=[STORED][: refusal is EditNotAllowed])

    if refusal is None:
        await requests_on(services).create(member, route, request)
    else:
        with pytest.raises(refusal):
            await requests_on(services).create(member, route, request)
        assert await all_jobs(database) == []


def low(services: Services, *providers: str) -> Services:
    """Return services whose balances at some providers are under the floor."""
    balances = ServiceBalances(services.now, dict.fromkeys(("oxen", "skills"), 1000))
    balances.adopt({each: ServiceBalance(999, NOW) for each in providers})
    return replace(services, balances=balances)


async def test_a_service_without_credits_is_left_out_unless_it_is_named(both: Services) -> None:
    assert await chosen(low(both, "skills")) == "oxen"
    assert await chosen(low(both, "oxen"), origin_id=2) == "skills"
    assert await chosen(low(both, "skills"), origin_id=3, model="oxen") == "oxen"

    with pytest.raises(NoCreditsAtService, match=r"^Oxen\.ai has no credits left for this bot"):
        await chosen(low(both, "oxen"), origin_id=4, model="oxen")
    with pytest.raises(NoCreditsAtService, match=r"^Oxen\.ai"):  # the other has no 2:1
        await chosen(low(both, "oxen"), origin_id=5, options={"aspect_ratio": "2:1"})
    with pytest.raises(NoCreditsAtService, match=r"^Oxen\.ai"):
        await chosen(low(both, "oxen", "skills"), origin_id=6)


async def test_a_model_that_is_not_allowed_is_left_out_unless_it_is_named(
    database: Database, both: Services
) -> None:
    async def allow(*models: str) -> None:
        async with database.transaction() as tx:
            rights = Rights(models=frozenset(models))
            await servers.store_rights(tx, 10, Subject.DEFAULT, "", rights)

    await allow("skills")
    assert await chosen(both) == "skills"
    with pytest.raises(ModelNotAllowed, match="may not use oxen"):
        await chosen(both, origin_id=2, model="oxen")
    await allow()
    with pytest.raises(ModelNotAllowed, match="may not use oxen"):  # the first refusal
        await chosen(both, origin_id=2)


async def test_a_provider_without_a_budget_is_left_out_unless_it_is_named(
    both: Services,
) -> None:
    limited = replace(both, quotas=Quotas(provider_budgets={"oxen": 7499}))
    assert await chosen(limited) == "skills"
    with pytest.raises(ProviderBudgetExhausted):
        await chosen(limited, origin_id=2, model="oxen")
    none = replace(both, quotas=Quotas(provider_budgets={"oxen": 7499, "skills": 19_999}))
    with pytest.raises(ProviderBudgetExhausted, match=r"this costs 7\.5 credits"):
        await chosen(none, origin_id=3)
    exact = replace(both, quotas=Quotas(provider_budgets={"oxen": 7500}))
    assert await chosen(exact, origin_id=4) == "oxen"


async def attached(database: Database, size: int, ago: timedelta) -> None:
    """Store a job of Ada with an input picture of this size."""
    new = replace(new_job(at=NOW - ago), inputs=(Attachment("1.png", "x", size=size),))
    async with database.transaction() as tx:
        await jobs.add(tx, new)


async def test_the_pictures_of_a_day_bound_further_ones(
    database: Database, services: Services
) -> None:
    within = INPUT_PERIOD - timedelta(seconds=5)
    await attached(database, INPUT_BYTES - 1, within)
    await attached(database, INPUT_BYTES, INPUT_PERIOD)  # no longer counts
    await created(services, wanted(inputs=[STORED]))
    await attached(database, 1, timedelta(hours=1))

    with pytest.raises(TooManyInputBytes) as refused:
        await created(services, wanted(origin_id=2, inputs=[STORED]))
    assert f"no longer counts <t:{int(NOW.timestamp()) + 5}:R>" in str(refused.value)
    await created(services, wanted(origin_id=3))  # without a picture
    await created(services, wanted(origin_id=4, inputs=[STORED]), replace(ADA, user_id=2))


async def test_a_confirmed_reply_wakes_the_worker(database: Database, services: Services) -> None:
    woken: list[str] = []
    requests = Requests(services, lambda: woken.append("woken"))
    job = (await requests.create(ADA, ROUTE, wanted())).job
    assert (job.route.status_message_id, woken) == (None, [])

    await requests.confirm(job.id, 40)

    assert (await stored(database, job.id)).route.status_message_id == 40
    assert woken == ["woken"]


async def test_a_withdrawn_request_holds_nothing(database: Database, services: Services) -> None:
    requests = requests_on(services)
    job = (await requests.create(ADA, ROUTE, wanted())).job

    await requests.withdraw(job.id)

    found = await stored(database, job.id)
    assert (found.status, found.settled_at, found.delivered_at) == (JobStatus.CANCELED, NOW, NOW)
    async with database.reading() as view:
        assert balance(await ledger.entries_of(view, job.id)) == 0
