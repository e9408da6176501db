"""`easel check`, as an operator meets it: a process of its own, against the stand-ins."""

import asyncio
import io
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from bot.check.machine import check_disk
from bot.check.report import State, show, warning, wrong
from bot.check.spelling import misspelt
from bot.check.trial import PROMPT
from bot.invite import NEEDED, invite_link, missing
from bot.sandbox.discord import permissions
from bot.sandbox.http.faults import Answer
from bot.settings import Settings
from tests.support.command_line import Ended, easel
from tests.support.easel import KEY, SKILLS_KEY, TOKEN, Stage, registered

pytestmark = pytest.mark.long

Lines = dict[str, list[dict[str, str]]]


def page_of(at: Stage) -> str:
    """Return the address of a page that can be opened, and enter it as the policy's."""
    page = f"{at.discord.url}/gateway"
    at.discord.world.application_pages.setdefault("privacy_policy_url", page)
    return page


def settings_of(at: Stage, **changes: str) -> dict[str, str]:
    return {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": at.discord.url,
        "OXEN_API_KEY": KEY,
        "OXEN_API_URL": at.oxen.url,
        "PRIVATE_HOSTS": at.private_hosts,
        "SKILLS_API_KEY": SKILLS_KEY,
        "SKILLS_API_URL": at.skills.url,
        "DATABASE_URL": f"sqlite:///{at.path}",
        "SERVERS": str(at.server.id),
        "PRIVACY_URL": page_of(at),
        **changes,
    }


async def check(at: Stage, *options: str, **changes: str) -> Ended:
    ended = await easel(at.folder, "check", *options, **settings_of(at, **changes))
    for secret in (TOKEN, KEY, SKILLS_KEY, changes.get("DISCORD_TOKEN", TOKEN)):
        assert secret not in ended.out + ended.errors
    return ended


async def lines_of(at: Stage, *options: str, **changes: str) -> tuple[int | None, Lines]:
    """The exit code, and the lines by what they are about."""
    ended = await check(at, "--json", *options, **changes)
    assert ended.errors == ""
    told: dict[str, Any] = json.loads(ended.out)
    assert told["ok"] is (ended.code == 0)
    lines: Lines = {}
    for line in told["lines"]:
        lines.setdefault(line["about"], []).append(line)
    return ended.code, lines


async def test_a_bot_that_is_well_set_up(at: Stage) -> None:
    at.path.unlink()
    ended = await check(at)

    assert (ended.code, ended.errors) == (0, "")
    assert "wrong" not in ended.out
    assert "warning" not in ended.out
    assert "\x1b" not in ended.out
    assert "DISCORD_TOKEN    set (environment)" in ended.out
    assert f"{at.path} will be created" in ended.out
    assert f"Easel, id {at.discord.application_id}" in ended.out
    assert invite_link(at.discord.application_id) in ended.out
    assert "“Easel Test”" in ended.out
    assert "up to 10 MiB per picture in “Easel Test”" in ended.out
    assert "agrees with Discord's" in ended.out
    assert ended.out.endswith("All is well.\n")
    assert not at.path.exists()
    assert at.created() == []


async def test_beside_a_running_bot_its_database_and_ledger_are_told(at: Stage) -> None:
    async with at.easel():
        await at.imagine()
        await at.settled()

        code, lines = await lines_of(at)

    assert code == 0
    assert f"{at.path}, revision" in lines["database"][0]["finding"]
    assert lines["ledger"][0]["finding"] == "3 entries, 1 jobs, 1 accounts: it adds up"


async def test_commands_that_vanished_are_shown_and_mended(at: Stage) -> None:
    async with at.easel() as app:
        await registered(app)
    _, whole = await lines_of(at)
    at.discord.commands[:] = [each for each in at.discord.commands if each["name"] != "imagine"]
    _, different = await lines_of(at)
    at.discord.faults.add(
        "PUT", "/api/v10/applications/.*", Answer(400, {"code": 30034, "message": "Max number"})
    )
    refused, not_mended = await lines_of(at, "--register")
    mended, after = await lines_of(at, "--register")

    assert whole["commands"][0]["finding"].startswith("Discord has all ")
    assert different["commands"][0]["state"] == "warning"
    assert "missing: /imagine" in different["commands"][0]["finding"]
    assert "--register" in different["commands"][0]["remedy"]
    assert (refused, mended) == (1, 0)
    assert "30034: Max number" in not_mended["commands"][0]["finding"]
    assert after["commands"][0]["finding"] == "registered (missing: /imagine)"
    assert "imagine" in {each["name"] for each in at.discord.commands}


async def test_a_ledger_that_does_not_add_up_is_wrong(at: Stage) -> None:
    async with at.easel():
        await at.imagine()
        (job,) = await at.settled()
    at.audited = False
    with closing(sqlite3.connect(at.path)) as database, database:
        database.execute("UPDATE jobs SET cost = cost + 1 WHERE id = ?", (job.id,))

    code, lines = await lines_of(at)

    assert code == 1
    (line,) = lines["ledger"]
    assert (line["state"], line["finding"]) == (
        "wrong",
        "3 entries, 1 jobs, 1 accounts: 3 findings",
    )
    assert "easel ledger verify" in line["remedy"]


async def test_settings_tell_where_they_came_from(at: Stage) -> None:
    (at.folder / ".env").write_text("OXEN_PRICE=9\nJOB_TIMEOUT=60\n")

    _, lines = await lines_of(at, JOB_TIMEOUT="90")

    assert lines["OXEN_PRICE"][0]["finding"] == "9 (.env)"
    assert lines["JOB_TIMEOUT"][0]["finding"] == "90 (environment)"
    assert lines["LOG_LEVEL"][0]["finding"] == "INFO (default)"
    assert lines["OXEN_API_KEY"][0]["finding"] == "set (environment)"


async def test_a_wrong_token_stops_nothing_else(at: Stage) -> None:
    code, lines = await lines_of(at, DISCORD_TOKEN=TOKEN[:-4] + "xxxx")

    assert code == 1
    refused = next(line for line in lines["DISCORD_TOKEN"] if line["state"] == "wrong")
    assert refused["finding"] == "Discord refuses it"
    assert "https://discord.com/developers/applications" in refused["remedy"]
    assert lines["oxen"][0]["state"] == lines["skills"][0]["state"] == "ok"


async def test_expired_keys_are_named_with_where_to_get_new_ones(at: Stage) -> None:
    code, lines = await lines_of(at, OXEN_API_KEY="expired", SKILLS_API_KEY="expired-too")

    assert code == 1
    for name, page in (("OXEN_API_KEY", "oxen.ai/settings"), ("SKILLS_API_KEY", "skills.video/")):
        refused = next(line for line in lines[name] if line["state"] == "wrong")
        assert refused["finding"].startswith("refused")
        assert page in refused["remedy"]


async def test_nothing_set_tells_all_that_is_missing(tmp_path: Path) -> None:
    ended = await easel(tmp_path, "check", JOB_TIMEOUT="soon", LOG_LEVEL="LOUD")

    assert ended.code == 1
    for finding in ("DISCORD_TOKEN is not set", "No API key is set", "JOB_TIMEOUT", "LOG_LEVEL"):
        assert any(line.startswith("wrong") and finding in line for line in ended.out.splitlines())
    assert "Traceback" not in ended.errors


async def test_apis_that_do_not_answer_are_told_each(at: Stage) -> None:
    nowhere = "http://127.0.0.1:9"

    code, lines = await lines_of(
        at, DISCORD_API_URL=nowhere, OXEN_API_URL=nowhere, SKILLS_API_URL=nowhere
    )

    assert code == 1
    for about in ("DISCORD_TOKEN", "oxen", "skills"):
        assert "no answer" in lines[about][-1]["finding"]


async def test_a_server_without_permissions_names_what_lacks(at: Stage) -> None:
    poor = at.discord.add_guild("Poor")
    for role in poor.roles:
        role.permissions = permissions.VIEW_CHANNEL | permissions.SEND_MESSAGES

    code, lines = await lines_of(at, SERVERS="")

    told = {line["finding"]: line["state"] for line in lines["server"]}
    lacks = "lacks Attach Files, Read Message History, Send Messages in Threads"
    assert code == 0
    assert told[f"“Poor” ({poor.id}) {lacks}"] == "warning"
    assert told[f"“Easel Test” ({at.server.id}) grants every permission that is needed"] == "ok"
    assert lines["SERVERS"][-1]["state"] == "warning"


async def test_servers_that_the_bot_is_not_in_and_large_uploads(at: Stage) -> None:
    at.discord.set_upload_limit(at.server, 50 * 1024 * 1024)
    other = at.discord.add_guild("Other")

    _, lines = await lines_of(at, SERVERS=f"{at.server.id},4711")

    findings = [line["finding"] for line in lines["SERVERS"]]
    assert "the bot is not in server 4711" in findings
    assert f"the bot ignores commands in “Other” ({other.id})" in findings
    assert lines["uploads"][0]["finding"].startswith("up to 50 MiB per picture in “Easel Test”")
    assert all("Other" not in line["finding"] for line in lines["server"])


async def test_commands_that_go_elsewhere_are_told(at: Stage) -> None:
    body = {
        "id": str(at.discord.application_id),
        "name": "Easel",
        "bot_require_code_grant": True,
        "interactions_endpoint_url": "https://elsewhere.example",
    }
    at.discord.faults.add("GET", ".*/applications/@me", Answer(200, json.dumps(body)))

    code, lines = await lines_of(at)

    assert code == 1
    states = [line["state"] for line in lines["application"]]
    assert states == ["ok", "wrong", "warning"]


def of_page(lines: Lines, name: str) -> list[dict[str, str]]:
    """The lines about a page, without that of the setting."""
    return [
        line for line in lines[name] if not line["finding"].endswith(("(environment)", "(default)"))
    ]


async def test_pages_that_cannot_be_opened_are_told(at: Stage) -> None:
    gone, closed = f"{at.discord.url}/nowhere", "http://127.0.0.1:9/terms"
    at.discord.faults.add("GET", ".*/nowhere", Answer(404))

    code, lines = await lines_of(at, SUPPORT_URL=gone, TERMS_URL=closed)

    assert code == 0
    assert [line["state"] for line in of_page(lines, "PRIVACY_URL")] == ["ok"]
    (support,) = of_page(lines, "SUPPORT_URL")
    assert support["state"] == "warning"
    assert "HTTP 40" in support["finding"]
    unopened, unnamed = of_page(lines, "TERMS_URL")
    assert "cannot be opened" in unopened["finding"]
    assert "Terms of Service URL names none" in unnamed["finding"]


async def test_a_bot_without_a_policy_is_told(at: Stage) -> None:
    code, lines = await lines_of(at, PRIVACY_URL="")

    assert code == 0
    unset, shown = of_page(lines, "PRIVACY_URL")
    assert "Developer Terms" in unset["finding"]
    assert "set PRIVACY_URL" in unset["remedy"]
    assert "the bot does not show" in shown["finding"]


async def test_the_policy_of_the_application_is_compared(at: Stage) -> None:
    at.discord.world.application_pages["privacy_policy_url"] = "https://example.org/old"

    _, lines = await lines_of(at)

    _, compared = of_page(lines, "PRIVACY_URL")
    assert "names another page" in compared["finding"]
    assert f"Enter {page_of(at)}" in compared["remedy"]


async def test_a_clock_that_is_wrong_is_told(at: Stage) -> None:
    body = json.dumps({"id": "1234567890", "username": "Easel"})
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    at.discord.faults.add("GET", ".*/users/@me", Answer(200, body, {"Date": date}))

    code, lines = await lines_of(at)

    assert code == 0
    assert lines["clock"][0]["state"] == "warning"
    assert "behind Discord's" in lines["clock"][0]["finding"]


async def test_an_account_without_credits_is_a_warning(at: Stage) -> None:
    at.skills.subscription = at.skills.permanent = 0

    code, lines = await lines_of(at)

    assert code == 0
    assert lines["skills"][0]["state"] == "warning"
    assert "not enough for a picture" in lines["skills"][0]["finding"]


@pytest.mark.parametrize(
    ("floor", "state", "finding", "remedy"),
    [
        ("1500", "ok", "credits: total 1500", ""),
        ("1500", "ok", "; SKILLS_FLOOR is 1500", ""),
        ("1500.5", "warning", "under SKILLS_FLOOR (1500.5), new jobs are refused", "Buy credits"),
    ],
)
async def test_the_balance_is_compared_with_the_floor(
    at: Stage, floor: str, state: str, finding: str, remedy: str
) -> None:
    code, lines = await lines_of(at, SKILLS_FLOOR=floor)

    assert code == 0
    assert lines["skills"][0]["state"] == state
    assert finding in lines["skills"][0]["finding"]
    assert lines["skills"][0]["remedy"].startswith(remedy)
    assert bool(lines["skills"][0]["remedy"]) is bool(remedy)


async def test_a_floor_without_a_balance_is_a_warning(at: Stage) -> None:
    at.skills.credits_shape = "text"

    code, lines = await lines_of(at, SKILLS_FLOOR="100")

    assert code == 0
    assert lines["skills"][0]["state"] == "warning"
    assert "SKILLS_FLOOR has no effect" in lines["skills"][0]["remedy"]


async def test_a_database_that_is_none_is_wrong(at: Stage) -> None:
    at.path.write_text("Dear reader, this is a letter and no database. " * 50)

    code, lines = await lines_of(at)

    assert code == 1
    assert "not a database" in lines["database"][0]["finding"]


async def test_a_misspelt_setting_is_told_by_the_check_and_refused_by_a_start(at: Stage) -> None:
    (at.folder / ".env").write_text("OXEN_KEY=secret-value\nSKILLS_FLAVOUR=mild\nTZ=UTC\n")

    ended = await check(at, OXEN_API_KEY="", BLOCKED_USER="1")
    started = await easel(at.folder, "run", DISCORD_TOKEN="hello", OXEN_KEY="secret-value")

    assert "OXEN_KEY in .env is not a setting of Easel's" in ended.out
    assert "Did you mean OXEN_API_KEY?" in ended.out
    assert "SKILLS_FLAVOUR in .env is not a setting" in ended.out
    assert "Did you mean BLOCKED_USERS?" in ended.out
    assert "TZ" not in ended.out
    assert "secret-value" not in ended.out + started.errors
    assert started.code == 2
    assert started.errors == (
        "easel: OXEN_KEY in .env is not a setting. Did you mean OXEN_API_KEY?\n"
    )


@pytest.mark.parametrize(
    "name", ["PATH", "DISCORD_WEBHOOK", "DATABASE_HOST", "EASEL_DISCORD_OPENAPI", "LOG_FILE"]
)
def test_foreign_names_in_the_environment_are_left_alone(name: str) -> None:
    assert list(misspelt({}, {name: "x"})) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DISCORD_BOT_TOKEN", "DISCORD_TOKEN"),
        ("EASEL_OXEN_API_KEY", "OXEN_API_KEY"),
        ("SKILLS_APIKEY", "SKILLS_API_KEY"),
        ("BLOCKED_USER", "BLOCKED_USERS"),
    ],
)
def test_what_was_meant_is_guessed(name: str, meant: str) -> None:
    (found,) = misspelt({}, {name: "x"})

    assert found.meant == meant


def test_a_setting_that_is_set_as_well_was_not_meant() -> None:
    assert list(misspelt({}, {"DISCORD_BOT_TOKEN": "x", "DISCORD_TOKEN": "y"})) == []


async def test_the_trial_makes_a_picture_at_each_service(at: Stage) -> None:
    code, lines = await lines_of(at, "--try", "--yes")

    assert code == 0
    assert at.created() == [{"model": "qwen-image-2", "prompt": PROMPT}]
    for key in ("oxen", "skills"):
        path = at.folder / lines[f"try {key}"][0]["finding"].rpartition(": ")[2]
        assert path.name.startswith(f"easel-check-{key}-")
        assert path.stat().st_size > 100


async def test_a_trial_that_fails_is_told(at: Stage) -> None:
    at.skills.fail_next("no paint")

    code, lines = await lines_of(at, "--try", "--yes")

    assert code == 1
    assert "no paint" in lines["try skills"][0]["finding"]
    assert lines["try oxen"][0]["state"] == "ok"


async def test_the_trial_asks_before_it_spends(at: Stage) -> None:
    ended = await check(at, "--try")

    assert ended.code == 1
    assert "7.5 credits at oxen and 20 credits at skills. Continue?" in ended.errors
    assert at.oxen.generations == {}


async def test_a_start_logs_the_invite_link(at: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with at.easel(), asyncio.timeout(20):
        while "invite link of this bot" not in caplog.text:
            await asyncio.sleep(0.05)
    assert invite_link(at.discord.application_id) in caplog.text


def test_an_administrator_lacks_nothing() -> None:
    assert missing(permissions.ADMINISTRATOR) == []
    assert missing(sum(NEEDED.values())) == []
    assert missing(0) == list(NEEDED)


@pytest.mark.parametrize(
    ("free", "state"), [(2 << 30, State.OK), (500 << 20, State.WARNING), (50 << 20, State.WRONG)]
)
async def test_little_room_on_the_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State
) -> None:
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr("bot.check.machine.shutil.disk_usage", lambda _: usage)
    address = f"sqlite:///{tmp_path}/not/yet/easel.db"

    (line,) = await check_disk(Settings(_env_file=None, database_url=address))  # type: ignore[call-arg]

    assert line.state is state
    assert str(tmp_path) in line.finding


def test_a_terminal_gets_colours_and_brackets_as_they_are() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system="standard", no_color=False)

    show([wrong("server", "[red]Poor[/red] lacks", "Do."), warning("x", "y", "z")], console)

    assert "\x1b[" in screen.getvalue()
    assert "[red]Poor[/red] lacks" in screen.getvalue()
    assert "1 wrong, 1 warning." in screen.getvalue()


async def test_more_servers_than_one_page_are_all_looked_at(at: Stage) -> None:
    for number in range(205):
        at.discord.add_guild(f"server {number}")

    _, lines = await lines_of(at, SERVERS="")

    assert len(lines["server"]) == 206
