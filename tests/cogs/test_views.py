"""Every view and every form keeps Discord's limits, for any prompt, and works after a restart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from discord import ui

from bot.catalog import Catalog
from bot.delivery import Receipt
from bot.jobs import Job, JobStatus, Notify, Option, Picture, PictureKind
from bot.ledger import Usage
from bot.periods import Period, PeriodKind
from bot.pictures.marks import Recipe
from bot.providers.oxen.model import oxen_spec
from bot.providers.skills.model import skills_spec
from bot.quotas import Member
from bot.rights import READY_MADE, Allowance, Rights, ServerSettings, Subject
from bot.services import Policies
from bot.store.changes import Change
from bot.store.erasure_requests import Erasure
from bot.store.reports import Sums
from bot.store.servers import Granted
from bot.store.usage import ModelUse
from bot.studio.balances import BalanceLine
from bot.studio.credit_reports import Report as CreditReport
from bot.studio.credits import Given, LimitSet, MemberCredits, Origin
from bot.studio.erasure import Stored
from bot.studio.export import Part
from bot.studio.history import Page, Place, Wanted
from bot.studio.menu import Lineage, Menu
from bot.studio.servers import Budget, SubjectRights
from bot.studio.setting_changes import setting_text
from bot.studio.tiers import Tier, TierTaken
from bot.studio.usage import Report
from cogs.buttons import FORMS, HANDLERS
from cogs.delivery.originals import Numbered
from cogs.delivery.uploads import Upload, Uploads
from cogs.ui import (
    credits,
    data_export,
    erasure,
    forms,
    history,
    lists,
    more,
    panel,
    preferences,
    privacy,
    recipe,
    result,
    server,
    server_forms,
    status,
    usage,
)
from cogs.ui.panel import MAX_CHOICES, PersistentItem
from cogs.ui.server_forms import Target
from cogs.ui.wording import Ended
from tests.support.rows import NOW, new_job

PICTURE = Picture("a" * 64, PictureKind.PNG, 99_000_000, 9, 9)
PAGE = f"https://example.org/{'a' * 480}"  # the longest
LARGEST = 2**63 - 1  # an id of Discord
RECEIPT = Receipt(left=-1, reserved=2500)
NEW = new_job(LARGEST)
JOB = Job(
    NEW.id,
    JobStatus.SUCCEEDED,
    NEW.user_id,
    replace(NEW.route, guild_id=LARGEST, channel_id=LARGEST),
    NEW.request,
    NEW.provider,
    NEW.price,
    NEW.created_at,
    cost=NEW.price,
    result_message_id=LARGEST,
    result_channel_id=LARGEST,
    delivered_at=NOW,
)
PROMPTS = {
    "short": "x",
    "Chinese": "一只雪中的狐狸",
    "Markdown": "**bold** `code` [a](https://x.y) > @everyone\n# h ||s|| <@1> ```",
    "long": "fox " * 375,
    "longest, all escaped": "*" * 2000,
    "longest, Chinese": "狐" * 2000,
    "invisible": "\u200b",
}
QUICK = ("short", "longest, all escaped")  # the others repeat the check of every view
CASES = [
    pytest.param(prompt, id=name, marks=[] if name in QUICK else pytest.mark.long)
    for name, prompt in PROMPTS.items()
]
MODULES: tuple[ModuleType, ...] = (
    *(forms, history, lists, more, panel, preferences, privacy, recipe, result, status),
    *(credits, data_export, erasure, usage),
    *(server, server_forms),
)


def job_with(prompt: str) -> Job:
    options: dict[str, Option] = {
        "negative_prompt": prompt[:500],
        "seed": 2**31 - 1,
        "aspect_ratio": "16:9",
    }
    source = replace(JOB, id="b" * 16)
    request = replace(JOB.request, prompt=prompt, options={**options, "count": 4})
    return replace(
        JOB, request=request, source=source, source_job_id=source.id, expanded_prompt=prompt * 2
    )


def views(job: Job) -> Iterator[ui.LayoutView]:
    """Yield every view that the bot sends, of jobs in all states."""
    spec = oxen_spec(price=1)
    catalog = Catalog([spec, skills_spec(price=20_000)])
    four = tuple(Upload(f"{number}.png", Path(), 0) for number in range(1, 5))
    uploads = Uploads(four, shrunk=True, left_out=1, gone=1)
    for each in (replace(job, status=one_of) for one_of in JobStatus):
        yield status.status_view(each, spec, lacking=["Send Messages"], down=True)
        yield status.copies_view(each, spec, uploads)
        yield status.cancel_view(each, spec)
        yield status.canceled_view(each, spec, RECEIPT)
        yield status.canceled_view(replace(each, canceled_by=2), spec, RECEIPT)
        yield status.undelivered_view(each)
        yield status.elsewhere_view(each, Ended.ELSEWHERE)
        yield result.result_view(each, spec, uploads, RECEIPT, missing=1)
        yield result.failed_view(each, spec, RECEIPT)
        yield result.job_view(each, spec, uploads, own=True)
        yield result.job_view(each, spec, uploads, own=False)
        yield from menu_pages(each, uploads)
        yield lists.jobs_view([each] * 20, catalog)
        yield from history_pages(each, catalog)
        yield recipe.recipe_view(each, spec)
    claimed = Recipe(model="oxen", prompt=job.request.prompt, options=job.request.options)
    yield recipe.file_recipe_view(claimed)
    yield lists.models_view(catalog, "de")
    for policies in (Policies(), Policies(PAGE, PAGE, PAGE, 36_500)):
        yield lists.help_view([("imagine", "Make a picture")], ["Edit image"], policies)
        yield privacy.privacy_view(policies, catalog)
    for here in (None, Usage(1, 1, 1, NOW, 1, 1, 1, NOW, 1, 1)):
        month = Usage(1, 1, 1, NOW, -1, 1, 1, NOW, 1)
        models = [ModelUse(f"model-{each}", 2**31, 2**31, 10**12) for each in range(40)]
        report = Report(
            month, here, PeriodKind.WEEK, "Asia/Kolkata", models, [(NOW.date(), 10**12)]
        )
        yield usage.usage_view(report, catalog, "hi", chart=True, failed=True)
    yield panel.notice("No.")
    yield from server_pages(job.request.prompt)
    yield from credit_pages(job, catalog)
    yield preferences.notify_view(Notify.PING)
    yield from export_pages()
    yield from erasure_pages()


def erasure_pages() -> Iterator[ui.LayoutView]:
    """Yield the messages of `/mydata delete`."""
    for number in (0, 1, 10_000):
        yield erasure.question_view(Stored(number, number))
        yield erasure.progress_view(
            Erasure(1, JOB.created_at, with_results=True, total=number, erased=number)
        )
    yield erasure.progress_view(None)
    yield erasure.kept_view()


def export_pages() -> Iterator[ui.LayoutView]:
    """Yield the messages of an export."""
    for here in (True, False):
        yield data_export.begun_view(here=here)
        for number, total in ((1, 1), (1, 40), (40, 40)):
            part = Part(Path(), f"easel-data-2026-11-21-{number}.zip", 1, number, total, 10**6)
            yield data_export.progress_view(part, here=here, closed=here)
            yield data_export.part_view(part)


MANY = frozenset(range(LARGEST - 25, LARGEST))
SETTINGS = ServerSettings(
    budget=Allowance(amount=1), channels=MANY, roles=MANY, notices=LARGEST, zones=()
)
RIGHTS = Rights(
    tier="guest", models=frozenset({"oxen", *(f"{number:032}" for number in range(20))})
)
SUBJECTS = ((Subject.DEFAULT, ""), (Subject.ROLE, str(LARGEST)), (Subject.TIER, "guest"))
TARGETS = [Target(*each) for each in SUBJECTS]


def server_pages(text: str) -> Iterator[ui.LayoutView]:
    """Yield the pages of /server, with the longest settings, and a form with a typed text."""
    ends = dict.fromkeys(PeriodKind, NOW)
    for used, settings in ((1, SETTINGS), (0, ServerSettings())):
        yield server.access_view(settings, "Changed.")
        yield server.budget_view(
            Budget(settings, used, Period(NOW, NOW), ends), "Changed.", locale="de"
        )
    for subject, name in SUBJECTS:
        yield server.rights_view(
            SubjectRights(subject, name, RIGHTS, RIGHTS), "Changed.", locale="de"
        )
    granted = [Granted(Subject.ROLE, str(LARGEST - each), RIGHTS) for each in range(300)]
    yield server.roles_view(granted, "Changed.")
    yield server.tiers_view([Granted(Subject.TIER, "guest", RIGHTS)], "Changed.")
    yield server.audit_view([])
    listed = setting_text("channels", MANY)
    for what, value in (("a" * 100, listed), (text[:100] or "x", text)):
        change = Change(LARGEST, LARGEST, NOW, what, value, value, LARGEST)
        yield server.audit_view([change] * 11)
    yield server.notice_view(1, 1, 1, locale="de")
    typed = {name: [text[:60]] for name in ("amount", "pictures", "jobs", "cooldown", "zone")}
    many = [str(each) for each in MANY]
    raw = {**typed, "period": ["month"], "channels": many, "roles": many, "notices": many[:1]}
    raw |= {"models": sorted(RIGHTS.models or ()), "private": ["yes"], "edit": ["unset"]}
    for form in server_forms.FIELDS:
        marks = server_forms.marks_of(form, raw)
        yield server.typed_view(text[:500] or "x", form, TARGETS[1], raw, marks)


def credit_pages(job: Job, catalog: Catalog) -> Iterator[ui.LayoutView]:
    """Yield the replies of /credits, with the longest lists and amounts."""
    unlimited, limit = Allowance(amount=None), Allowance(amount=10**9, period=PeriodKind.WEEK)
    reader, roles = Member(2, 10), tuple(str(LARGEST - each) for each in range(100))
    usage = Usage(10**9, 10**9, 10**9, NOW, -1, 1, 1, NOW, 10**9, 10**9)
    for allowance in (None, unlimited, limit):
        found = MemberCredits(usage, allowance, Origin(Subject.ROLE, roles), True, [job] * 20)
        yield credits.member_view(
            reader, found, reader=reader, channel_id=20, present=False, locale="de"
        )
        done = LimitSet(allowance, True, True, True, 10**9, -1, NOW)
        yield credits.allowance_view(Subject.MEMBER, str(LARGEST), done, locale="de")
        yield credits.budget_view(done, locale="de")
    yield credits.grant_view(Given(LARGEST, 10**9, 10**9, job), present=False, locale="de")
    ids = [LARGEST - each for each in range(250)]
    tiers = [Tier(name, RIGHTS, True, ids, True) for name in READY_MADE]
    yield credits.tiers_view(tiers, catalog, locale="de")
    yield credits.tier_view(TierTaken("guest", "artist", True), LARGEST)
    sums = Sums(10**12, 10**12, 10**12, 10**12)
    report = CreditReport(
        *(NOW.date(), NOW.date(), "Asia/Kathmandu", sums),
        members=[(each, sums) for each in ids],
        models=[(f"model-{each}", sums) for each in range(40)],
        days=[(NOW.date(), sums)] * 92,
        table=b"",
        lines=10**4,
        cut=True,
        balances=[BalanceLine("skills.video", 1, NOW, 2, True)] * 2,
    )
    for chart in (None, "chart.png"):
        yield credits.report_view(report, catalog, chart=chart, table="t.csv", locale="de")


def menu_pages(job: Job, uploads: Uploads) -> Iterator[ui.LayoutView]:
    spec = oxen_spec(price=1)
    for on in (True, False):
        shown = replace(job, spoiler=on, expanded_prompt="a red fox", result_message_id=1)
        menu = Menu(shown, favourite=on, may_change=True)
        yield more.menu_view(menu, spec, posted=True, thread=True)
        yield more.thread_view(job, 1, new=on)
    kin = replace(shown, id="c" * 16)
    yield more.lineage_view(Lineage(job, (kin, None) * 10, (kin,) * 10, cut=True))
    yield more.originals_view(job, uploads)
    yield more.left_out_view(job, [Numbered(1, PICTURE)], gone=1)
    yield more.delete_view(job)
    yield more.deleted_view(job)


def history_pages(job: Job, catalog: Catalog) -> Iterator[ui.LayoutView]:
    """Yield pages with and without pictures, and the longest filters."""
    longest = Wanted("*" * 100, "m" * 32, favourites=True, since=NOW, until=NOW)
    place = Place(NOW, job.id)
    jobs = tuple(replace(job, id=f"{number}aaaaaaaaaaaaaaa") for number in range(2, 7))
    names = {each.id: f"easel-{each.id}-small-1.jpg" for each in jobs}
    for wanted in (Wanted(), longest):
        yield history.history_view(Page((), {}, frozenset(), None, None), wanted, catalog, {})
        page = Page(jobs, {}, frozenset({jobs[0].id}), place, place)
        yield history.history_view(page, wanted, catalog, names)
        yield history.history_view(page, wanted, catalog, {})


def opened_forms(job: Job) -> Iterator[ui.Modal]:
    yield forms.menu_form(2**64 - 1, ["x" * 300])
    yield forms.menu_form(2**64 - 1, ["x" * 300] * MAX_CHOICES)
    for spec in (oxen_spec(price=1), skills_spec(price=20_000)):
        yield forms.remix_form(job, spec)
        yield forms.remix_form(job, spec, prompt=job.request.prompt, expand=False)
        yield forms.edit_form(job, [1], spec)
        yield forms.edit_form(job, [*range(1, 11)], spec)
        catalog = Catalog([spec])
        for target in TARGETS:
            for form in ("amounts", "models"):
                raw = server_forms.raw_rights(RIGHTS)
                yield server_forms.settings_form(form, target, raw, catalog)
        for form in ("access", "budget"):
            raw = server_forms.raw_settings(SETTINGS)
            yield server_forms.settings_form(form, Target(None), raw, catalog)


@pytest.mark.parametrize("prompt", CASES)
async def test_every_view_keeps_the_limits_of_discord(prompt: str) -> None:
    for view in views(job_with(prompt)):
        items = list(view.walk_children())
        texts = [each.content for each in items if isinstance(each, ui.TextDisplay)]
        names = [each.custom_id for each in items if isinstance(each, PersistentItem)]
        alt = [m.description for g in items if isinstance(g, ui.MediaGallery) for m in g.items]
        alt += [each.description for each in items if isinstance(each, ui.Thumbnail)]
        assert len(items) <= 40
        assert sum(map(len, texts)) <= 4000
        assert all(texts)
        assert len(set(names)) == len(names)
        assert all(len(name) <= 100 for name in names)
        assert all(each is not None and 1 <= len(each) <= 1024 for each in alt)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
async def test_every_form_keeps_the_limits_of_discord(prompt: str) -> None:
    for form in opened_forms(job_with(prompt)):
        data: dict[str, Any] = form.to_dict()
        assert any(template.fullmatch(data["custom_id"]) for template in FORMS)
        assert len(data["custom_id"]) <= 100
        assert 1 <= len(data["title"]) <= 45
        assert 1 <= len(data["components"]) <= 5
        assert all(1 <= len(each["label"]) <= 45 for each in data["components"])
        assert all(len(each.get("description") or "") <= 100 for each in data["components"])
        names = [each["component"]["custom_id"] for each in data["components"]]
        assert len(set(names)) == len(names)
        for each in data["components"]:
            options = each["component"].get("options", [])
            assert len(options) <= 25
            assert all(1 <= len(option["label"]) <= 100 for option in options)
            assert all(len(option["value"]) <= 100 for option in options)
            assert len(each["component"].get("value") or "") <= 4000


async def test_every_item_of_every_view_is_persistent_and_has_a_handler() -> None:
    """An ordinary button in a view would make discord.py forget all items of the class."""
    handled = set()
    for view in views(job_with("a fox")):
        assert view.timeout is None
        for item in view.walk_children():
            if isinstance(item, ui.Button | ui.Select):
                pytest.fail(f"an ordinary item: {item!r}")
            if isinstance(item, PersistentItem):
                found = {template for template in HANDLERS if template.fullmatch(item.custom_id)}
                assert len(found) == 1
                handled |= found

    assert handled == set(HANDLERS)


def test_the_views_and_forms_that_are_checked_are_all() -> None:
    """A view or a form is a function of cogs/ui that returns one."""
    made = {
        name
        for module in MODULES
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
        and getattr(value, "__annotations__", {}).get("return") in (ui.LayoutView, ui.Modal)
        and not name.startswith("_")
    }
    pages = (server_pages, credit_pages, menu_pages, history_pages, export_pages, erasure_pages)
    callers = (views, *pages, opened_forms)
    called = {name for each in callers for name in each.__code__.co_names}

    assert made - called == {"make_form"}  # of which the forms are made


def test_no_module_of_views_is_left_out() -> None:
    folder = Path(panel.__file__).parent
    with_views = {
        path.stem
        for path in folder.glob("*.py")
        if any(f"-> ui.{kind}" in path.read_text() for kind in ("LayoutView:", "Modal:"))
    }

    assert with_views == {module.__name__.rpartition(".")[2] for module in MODULES}
