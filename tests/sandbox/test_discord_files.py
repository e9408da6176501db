"""Files on the stand-in: limits, signed addresses and their expiry."""

import pytest

from bot.sandbox.discord import FakeDiscord, Upload
from tests.sandbox.test_discord_messages import PNG
from tests.sandbox.test_discord_raw import Api, api, api_of

__all__ = ["api"]  # the fixture

MIB = 1024 * 1024
GONE = "This content is no longer available."


async def fetch(api: Api, url: str) -> tuple[int, bytes]:
    async with api.http.get(url) as served:
        return served.status, await served.read()


async def test_a_file_over_the_limit_of_the_server_is_refused(api: Api) -> None:
    too_much = Upload("a.bin", bytes(10 * MIB + 1))

    status, body = await api.send({"content": "x"}, too_much)
    api.discord.set_upload_limit(api.guild, 50 * MIB)
    boosted, _ = await api.send({"content": "x"}, too_much)

    assert (status, body["code"], boosted) == (413, 40005, 200)


async def test_a_request_over_25_mib_is_refused(api: Api) -> None:
    status, body = await api.send(
        {"content": "x"}, *[Upload(f"{n}.bin", bytes(9 * MIB)) for n in range(3)]
    )

    assert (status, body["code"]) == (413, 40005)
    assert api.discord.channel_messages(api.channel) == []


async def test_an_eleventh_file_is_refused(api: Api) -> None:
    files = [Upload(f"{n}.txt", b"x") for n in range(11)]

    assert (await api.send({"content": "x"}, *files))[0] == 400
    assert (await api.send({"content": "x"}, *files[:10]))[0] == 200


async def test_an_address_serves_for_a_day_and_a_fresh_one_for_another() -> None:
    now = 1_700_000_000.0
    async with api_of(FakeDiscord(clock=lambda: now)) as api:
        _, sent = await api.send({"content": "x"}, Upload("a.png", PNG))
        url = sent["attachments"][0]["url"]
        assert await fetch(api, url) == (200, PNG)

        now += 24 * 3600
        assert await fetch(api, url) == (404, GONE.encode())
        path = f"/channels/{api.channel.id}/messages/{sent['id']}"
        _, again = await api.call("GET", path)
        _, refreshed = await api.call(
            "POST", "/attachments/refresh-urls", {"attachment_urls": [url]}
        )

        assert await fetch(api, again["attachments"][0]["url"]) == (200, PNG)
        (pair,) = refreshed["refreshed_urls"]
        assert pair["original"] == url
        assert await fetch(api, pair["refreshed"]) == (200, PNG)


@pytest.mark.parametrize("change", ["hm=", "ex=", "a.png?"])
async def test_a_changed_address_serves_nothing(api: Api, change: str) -> None:
    _, sent = await api.send({"content": "x"}, Upload("a.png", PNG))
    url = sent["attachments"][0]["url"]

    assert (await fetch(api, url.replace(change, f"{change}0")))[0] == 404
    assert (await fetch(api, url.split("?")[0]))[0] == 404


async def test_files_of_members_are_kept_for_a_time_only() -> None:
    now = 1_700_000_000.0
    async with api_of(FakeDiscord(clock=lambda: now)) as api:
        option = {"type": 11, "name": "file", "description": "d"}
        await api.register({"name": "see", "description": "d", "options": [option]})
        used = await api.discord.command(
            api.ann, api.channel, "see", {"file": Upload("a.png", PNG)}
        )
        (file,) = used.data["resolved"]["attachments"].values()
        assert (file["width"], file["height"]) == (2, 1)

        now += 24 * 3600
        _, refreshed = await api.call(
            "POST", "/attachments/refresh-urls", {"attachment_urls": [file["url"]]}
        )

        assert (await fetch(api, refreshed["refreshed_urls"][0]["refreshed"]))[0] == 404


async def test_only_addresses_of_the_cdn_are_refreshed(api: Api) -> None:
    body = {"attachment_urls": ["https://a.b/c.png"]}

    assert (await api.call("POST", "/attachments/refresh-urls", body))[0] == 400


async def test_a_broken_picture_is_a_file_without_a_size(api: Api) -> None:
    _, sent = await api.send({"content": "x"}, Upload("a.png", PNG[:20]))

    assert "width" not in sent["attachments"][0]
