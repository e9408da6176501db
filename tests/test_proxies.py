"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and a certificate that nobody trusts."""

import asyncio
import base64
import re
import ssl
from pathlib import Path

import aiohttp
import pytest

from bot.delivery import NotDelivered
from bot.errors import ProviderError, StartupError
from bot.http_client import open_session
from bot.observability.logs import redact
from bot.pictures import Downloader
from bot.proxies import Proxies, proxy_url
from bot.settings import Settings
from cogs.delivery.errors import may_be_executed, raising_not_delivered
from tests.support.easel import Stage
from tests.support.proxy import proxy
from tests.test_check import check, lines_of

CERTIFICATE = Path(__file__).parent / "support" / "untrusted.pem"


@pytest.mark.parametrize(
    ("url", "direct"),
    [
        ("https://discord.com/api", False),
        ("wss://gateway.discord.gg/?v=10", False),
        ("http://10.0.0.7:8000/x", False),
        ("https://127.0.0.1/x", True),
        ("https://[::1]/x", True),
        ("http://localhost:8000/x", True),
        ("https://hub.oxen.ai/api", True),
        ("https://oxen.ai/api", True),
        ("https://notoxen.ai/api", False),
        ("https://api.lan/x", True),
        ("https://api.lan:8443/x", True),
        ("https://only.port:444/x", True),
        ("https://only.port/x", False),
        ("https://10.1.2.3/x", True),
        ("https://10.2.2.3/x", False),
        ("https://[fd00::1]/x", True),
    ],
)
def test_the_way_of_an_address(url: str, direct: bool) -> None:
    exempt = ".oxen.ai, *.lan only.port:444,10.1.0.0/16,fd00::/8"
    proxies = Proxies(proxy_url("plain:3128"), proxy_url("http://u:secret@proxy:3128"), exempt)

    way = proxies.describe(url)

    assert (way == "directly") is direct
    assert "secret" not in way


def test_no_proxy_may_exempt_everything() -> None:
    everything = Proxies(None, proxy_url("proxy:1"), "*")
    assert everything.options("https://discord.com")["proxy"] is None
    other_scheme = Proxies(proxy_url("proxy:1"), None)
    assert other_scheme.options("https://discord.com")["proxy"] is None


@pytest.mark.parametrize(
    "value",
    ["socks5://proxy:1080", "http:///x", "http://a b:1", "http://x:y", "http://a%3Ab:c@x:1"],
)
def test_an_unusable_proxy_is_named_without_its_value(value: str) -> None:
    with pytest.raises(StartupError) as raised:
        Settings.load(None, {"https_proxy": value})

    assert str(raised.value).startswith("HTTPS_PROXY: ")
    assert value not in str(raised.value)


async def test_a_refusal_by_the_proxy_shows_no_password() -> None:
    """The address is given otherwise than yarl writes it."""
    password = "wr/ng~p@ss"
    header = base64.b64encode(f"easel:{password}".encode()).decode()
    async with proxy("s3cret") as way:
        given = way.url.replace("s3cret", "wr%2fng%7Ep%40ss")
        settings = Settings.load(None, {"https_proxy": given})
        url = "https://discord.test/"
        async with open_session() as session:
            with pytest.raises(NotDelivered) as raised, raising_not_delivered():
                await session.get(url, **settings.proxies.options(url))
    error = raised.value.__cause__

    assert way.refused == 1
    assert isinstance(error, aiohttp.ClientHttpProxyError)
    assert str(raised.value) == "ClientHttpProxyError"
    assert not may_be_executed(error)
    assert header in repr(error)
    shown = redact(f"{error!r} {error} {given} {proxy_url(given)} {password}", settings.secrets)
    assert not re.search(f"wr.{{1,3}}ng|{header}", shown)


def test_a_token_in_place_of_the_user_is_redacted_and_no_single_letter() -> None:
    token = Settings.load(None, {"https_proxy": "http://t0ken-of-mine@proxy:1"})
    short = Settings.load(None, {"https_proxy": "http://u:x@proxy:1"})

    assert redact("a t0ken-of-mine", token.secrets) == "a [secret]"
    assert redact("x of http://u:x@proxy:1/", short.secrets) == "x of [secret]/"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionResetError(104, "of http://u:p@proxy"), "ConnectionResetError: Connection rese"),
        (aiohttp.ClientOSError(111, "of http://u:p@proxy"), "ClientOSError: Connection refused"),
        (aiohttp.ServerDisconnectedError("of http://u:p@proxy"), "ServerDisconnectedError"),
        (TimeoutError(), "TimeoutError"),
        (OSError("of http://u:p@proxy"), "OSError"),
    ],
    ids=str,
)
def test_a_stored_failure_of_the_network_has_no_text_of_a_library(
    error: Exception, text: str
) -> None:
    with pytest.raises(NotDelivered) as raised, raising_not_delivered():
        raise error

    assert str(raised.value).startswith(text)
    assert "proxy" not in str(raised.value)


@pytest.mark.long
async def test_discord_and_the_services_are_reached_through_the_proxy(at: Stage) -> None:
    """The names exist at the proxy alone, which asks for a password."""
    async with proxy("s3cret") as way:
        named = {
            "http_proxy": way.url,
            "discord_api_url": at.discord.url.replace("127.0.0.1", "discord.test"),
            "skills_api_url": at.skills.url.replace("127.0.0.1", "skills.test"),
        }
        async with at.easel(**named):
            await at.imagine("a fox", model="skills")
            await at.result("a fox")
            await at.settled()

    assert {"discord.test", "skills.test"} <= set(way.targets)
    assert way.refused == 0


async def test_downloads_go_through_the_proxy_which_checks_addresses(at: Stage) -> None:
    host, port = at.oxen.cdn_host.split(":")
    async with proxy() as way:
        proxies = Proxies(proxy_url(way.url), None)
        async with Downloader(proxies=proxies) as downloader:
            url = f"http://pictures.test:{port}/nothing.png"
            with pytest.raises(ProviderError, match="returned 403"):
                await downloader.fetch(url, lambda _: {})
            for refused in (f"http://{host}:{port}/x.png", f"{way.url}/x.png"):
                with pytest.raises(ProviderError, match="private network"):
                    await downloader.fetch(refused, lambda _: {})

    assert way.targets == ["pictures.test"]


@pytest.mark.long
async def test_the_check_shows_the_way_and_no_password(at: Stage) -> None:
    async with proxy("s3cret") as way:
        changes = {
            "HTTP_PROXY": way.url,
            "DISCORD_API_URL": at.discord.url.replace("127.0.0.1", "discord.test"),
        }
        code, lines = await lines_of(at, **changes)
        shown = await check(at, **changes)
        wrong = await check(at, **changes | {"HTTP_PROXY": way.url.replace("s3cret", "other")})

    ways = [line["finding"] for line in lines["network"]]
    assert code == 0
    assert ways == [
        f"Discord through the proxy http://127.0.0.1:{way.port}",
        "oxen, skills directly",
    ]
    assert "s3cret" not in shown.out
    assert "407" in wrong.out


@pytest.mark.long
async def test_the_check_names_an_untrusted_certificate(at: Stage) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    code, lines = await lines_of(at, DISCORD_API_URL=url, OXEN_API_URL=url)
    server.close()

    assert code == 1
    for about in ("DISCORD_TOKEN", "oxen"):
        line = lines[about][-1]
        assert "certificate not trusted for 127.0.0.1: self-signed certificate" in line["finding"]
        assert "SSL_CERT_FILE" in line["remedy"]
