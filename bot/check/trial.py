"""A picture from each provider, by the requests that a job sends."""

import asyncio
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import assert_never

from bot.catalog import ModelSpec
from bot.check.report import Line, ok, wrong
from bot.config import Config, ProviderConfig
from bot.errors import ProviderError, Reason, StartupError
from bot.jobs import GenerationRequest
from bot.ledger import credits_text
from bot.pictures import Downloader, sniff
from bot.providers.base import (
    Canceled,
    Failed,
    Finished,
    Http,
    Provider,
    Running,
    Update,
    Waiting,
)

NOBODY = 0  # no member requests the trial
PROMPT = "a small wooden easel in a sunlit studio, with a blank canvas"


def trial_question(config: Config) -> str:
    """Return the question for the operator, with the price of each provider's first model."""
    costs = [
        f"{credits_text(each.specs[0].price)} credits at {each.key}" for each in config.configured
    ]
    return f"This makes one real picture each and may cost about {' and '.join(costs)}. Continue?"


async def try_provider(
    configured: ProviderConfig, config: Config, http: Http, folder: Path
) -> Line:
    """Make a picture by the requests that a job sends, and save the picture in `folder`."""
    about = f"try {configured.key}"
    began = time.monotonic()
    try:
        provider = configured.make(http)
        made = await _make(provider, configured.specs[0], config.core.timeout)
        async with Downloader(
            private_hosts=config.private_hosts, proxies=config.core.proxies
        ) as downloader:
            data = await downloader.fetch(made.pictures[0], provider.headers_for)
        path = await _save(data, folder / f"easel-check-{configured.key}")
    except StartupError as error:  # a malformed key
        problem, _, remedy = str(error).partition(". ")
        return wrong(about, problem, remedy)
    except ProviderError as error:
        return wrong(about, str(error), "The service's own pages explain the error.")
    cost = f", {credits_text(made.cost.amount)} credits" if made.cost else ""
    return ok(about, f"a picture in {time.monotonic() - began:.0f} s{cost}: {path}")


async def _make(provider: Provider, spec: ModelSpec, timeout: timedelta) -> Finished:
    request = GenerationRequest(spec.key, PROMPT)
    with closing(await provider.submit(request, NOBODY)) as submission:
        submitted = submission.generations[0]
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await _end_of(provider, submitted.remote_id, submitted.update)
    except TimeoutError:
        if spec.cancels:
            await provider.cancel(submitted.remote_id)
        detail = f"not finished within JOB_TIMEOUT, {timeout.total_seconds():.0f} s"
        raise ProviderError(Reason.TIMEOUT, detail) from None


async def _end_of(provider: Provider, remote_id: str, update: Update) -> Finished:
    while True:
        match update:
            case Finished():
                return update
            case Failed(reason, detail):
                raise ProviderError(reason, detail)
            case Canceled():
                raise ProviderError(Reason.UNKNOWN, "canceled by the service")
            case Waiting() | Running():
                await asyncio.sleep(2.0)
                update = await provider.fetch(remote_id)
            case _:
                assert_never(update)


async def _save(data: bytes, stem: Path) -> Path:
    kind = sniff(data)
    if kind is None:
        raise ProviderError(Reason.MALFORMED, "the answer is not an image")
    path = stem.with_name(f"{stem.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}.{kind}")
    try:
        await asyncio.to_thread(path.write_bytes, data)
    except OSError as error:
        raise ProviderError(Reason.UNKNOWN, f"the picture cannot be saved: {error}") from error
    return path
