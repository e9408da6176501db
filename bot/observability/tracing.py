"""What Discord answers, counted by aiohttp: discord.py hands our trace to its session."""

from types import SimpleNamespace

import aiohttp

from bot.observability.metrics import Metrics


def trace_discord(metrics: Metrics) -> aiohttp.TraceConfig:
    async def answered(
        _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        metrics.discord_answered(end.method, str(end.response.status))

    async def broke(
        _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestExceptionParams
    ) -> None:
        metrics.discord_answered(end.method, type(end.exception).__name__)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(answered)
    trace.on_request_exception.append(broke)
    return trace
