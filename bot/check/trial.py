"""`easel check --try`: one real picture from each service, kept as a file."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from yarl import URL

from bot.check.report import Line, ok, wrong
from bot.errors import ProviderError, Reason
from bot.jobs import GenerationRequest
from bot.ledger import credits_text, thousandths
from bot.pictures import Downloader, sniff
from bot.providers.base import Canceled, Failed, Finished, Provider, Running, Update, Waiting
from bot.providers.made import api_addresses
from bot.providers.oxen.provider import Oxen
from bot.settings import Settings

PROMPT = "a small wooden easel in a sunlit studio, with a blank canvas"
POLL_SECONDS = 2.0


def may_cost(settings: Settings) -> str:
    """One sentence, to ask the operator by."""
    prices = {"oxen": settings.oxen_price, "skills": settings.skills_price}
    costs = [f"{credits_text(thousandths(prices[key]))} credits at {key}" for key in settings.keys]
    return f"This makes one real picture each and may cost about {' and '.join(costs)}. Go on?"


async def try_service(provider: Provider, settings: Settings, folder: Path) -> Line:
    about = f"try {provider.key}"
    began = time.monotonic()
    request = GenerationRequest(provider.key, PROMPT)
    try:
        made = await _made(provider, request, settings)
        path = await _save(provider, made.pictures[0], settings, folder)
    except ProviderError as error:
        return wrong(about, str(error), "See the service's own pages for what that means.")
    cost = f", {credits_text(made.cost.amount)} credits" if made.cost else ""
    return ok(about, f"a picture in {time.monotonic() - began:.0f} s{cost}: {path}")


async def _made(provider: Provider, request: GenerationRequest, settings: Settings) -> Finished:
    """At Oxen in one request, which waits for it; elsewhere as a job does it."""
    if isinstance(provider, Oxen):
        return await provider.edit(request)
    (submitted, *_) = await provider.submit(request)
    try:
        async with asyncio.timeout(settings.job_timeout):
            return await _ended(provider, submitted.remote_id, submitted.update)
    except TimeoutError:
        detail = f"no end within JOB_TIMEOUT, {settings.job_timeout} s"
        raise ProviderError(Reason.TIMEOUT, detail) from None


async def _ended(provider: Provider, remote_id: str, update: Update) -> Finished:
    while True:
        match update:
            case Finished():
                return update
            case Failed(reason, detail):
                raise ProviderError(reason, detail)
            case Canceled():
                raise ProviderError(Reason.UNKNOWN, "the service stopped it")
            case Waiting() | Running():
                await asyncio.sleep(POLL_SECONDS)
                update = await provider.fetch(remote_id)
            case _:
                assert_never(update)


async def _save(provider: Provider, url: str, settings: Settings, folder: Path) -> Path:
    host = URL(api_addresses(settings)[provider.key]).host or ""
    async with Downloader(private_hosts=[host]) as downloader:
        data = await downloader.fetch(url, provider.headers_for)
    kind = sniff(data)
    if kind is None:
        raise ProviderError(Reason.MALFORMED, "what it sent is no picture")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = folder / f"easel-check-{provider.key}-{stamp}.{kind}"
    try:
        await asyncio.to_thread(path.write_bytes, data)
    except OSError as error:
        raise ProviderError(Reason.UNKNOWN, f"the picture cannot be saved: {error}") from error
    return path
