"""Counts of Discord's answers, by aiohttp's tracing: discord.py passes the trace on."""

from types import SimpleNamespace

import aiohttp

from bot.observability.metrics import Metrics


def trace_discord(metrics: Metrics) -> aiohttp.TraceConfig:
    """Return a trace that counts every answer, or the error in place of one."""

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
