"""The loop of the seed documents, for comparison: ask for a generation every five seconds.

`while True: get; if ended: break; sleep 5`, then the download of the picture, and here its post.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.sandbox.skills.models import MODEL as SKILLS_MODEL
from tests.support.easel import KEY, TOKEN

INTERVAL = 5.0  # seconds
BEARER = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True, slots=True)
class SeedLoop:
    """A client of one service (`oxen` or `skills`) that posts its pictures into one channel."""

    session: aiohttp.ClientSession
    service: str
    url: str
    channel_url: str
    polls: dict[str, int] = field(default_factory=dict)  # by the prompt

    async def make(self, prompt: str) -> None:
        """Create a generation, ask until it has ended, and post the picture."""
        created = await self._create(prompt)
        ended = await self._wait(created, prompt)
        async with self.session.get(_address(ended)) as response:
            picture = await response.read()
        form = aiohttp.FormData({"payload_json": json.dumps({"content": prompt})})
        form.add_field("files[0]", picture, filename="picture.png", content_type="image/png")
        headers = {"Authorization": f"Bot {TOKEN}"}
        async with self.session.post(self.channel_url, data=form, headers=headers) as response:
            response.raise_for_status()

    async def _create(self, prompt: str) -> str:
        if self.service == "skills":
            answer = await self._ask("POST", f"/generation/{SKILLS_MODEL}", {"prompt": prompt})
            return str(answer["id"])
        body = {"model": "qwen-image-2", "prompt": prompt}
        answer = await self._ask("POST", "/ai/queue", body)
        return str(answer["generations"][0]["generation_id"])

    async def _wait(self, remote_id: str, prompt: str) -> dict[str, Any]:
        path = "/generation" if self.service == "skills" else "/ai/queue"
        while True:
            self.polls[prompt] = self.polls.get(prompt, 0) + 1
            answer = await self._ask("GET", f"{path}/{remote_id}")
            if str(answer["status"]).casefold() in {"succeeded", "completed"}:
                return answer
            await asyncio.sleep(INTERVAL)

    async def _ask(
        self, method: str, path: str, body: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async with self.session.request(
            method, f"{self.url}{path}", json=body, headers=BEARER
        ) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
            return answer


def _address(ended: dict[str, Any]) -> str:
    if "result_url" in ended:
        return str(ended["result_url"])
    return str(ended["data"]["images"][0]["url"])
