"""Gateways and workers as processes on one PostgreSQL server, any one of which may be killed."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox.demo.process import BotProcess, run_bot
from bot.sandbox.demo.run import settings
from tests.harness.crash import START_SECONDS, Arena
from tests.support import cluster

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "gateway-0": ("gateway", "--shards", "0/2"),
    "gateway-1": ("gateway", "--shards", "1/2"),
    **{f"worker-{number}": ("worker",) for number in range(3)},
}
GATEWAYS = 2
LOOK_SECONDS = 5.0  # between two looks whether all processes run
SERVER = "PostgreSQL"
SERVER_SHARE = 0.1  # of the kills that hit the server


@dataclass(eq=False)
class ClusterArena(Arena):
    """`kill` kills one process, or PostgreSQL, while the others go on."""

    killed: Counter[str] = field(default_factory=Counter)
    _processes: dict[str, tuple[BotProcess, AsyncExitStack]] = field(default_factory=dict)
    _server: tuple[Path, str] | None = None  # the folder and the address

    @property
    def database_url(self) -> str:
        if self._server is None:
            folder = cluster.make_folder()
            # A commit that was confirmed survives the kill of the server, not one of the machine.
            self._server = folder, cluster.start(folder, synchronous_commit="on")
        return self._server[1]

    @property
    def server_folder(self) -> Path:
        assert self._server is not None
        return self._server[0]

    async def launch(self, *names: str) -> BotProcess:
        """Start those of the named processes, or of all, that do not run, and return any one.

        A process that has ended, because the server was killed during the start, is started again,
        as by a service manager.
        """
        values = settings(self.discord, self.oxen, self.skills) | {
            "LOG_FORMAT": "json",
            "DATABASE_URL": self.database_url,
            "PICTURES_URL": f"file://{self.folder}/pictures",
        }
        for name in names or COMMANDS:
            if name in self._processes and not self.process(name).runs:
                await self._end(name)
            if name not in self._processes:
                stack = AsyncExitStack()
                running = run_bot(self.folder, values, *COMMANDS[name], name=name)
                self._processes[name] = await stack.enter_async_context(running), stack
        return self.process(self.rng.choice([*self._processes]))

    def process(self, name: str) -> BotProcess:
        return self._processes[name][0]

    async def start(self) -> BotProcess:
        async with asyncio.timeout(START_SECONDS):
            while True:
                bot = await self.launch()
                try:
                    await self.discord.connected(LOOK_SECONDS, sessions=GATEWAYS)
                    break
                except TimeoutError:  # one may have ended, because the server was killed
                    continue
        await self.discord.commands_registered(START_SECONDS)
        return bot

    async def kill(self) -> None:
        """Kill one process at random, or the server; the server is started again at once."""
        victim = self.rng.choice([*self._processes]) if self._processes else SERVER
        if self.rng.random() < SERVER_SHARE:
            victim = SERVER
        self.killed[victim] += 1
        if victim == SERVER and self._server is not None:
            await asyncio.to_thread(cluster.crash, self.server_folder)
        else:
            await self._end(victim)

    async def close(self) -> None:
        for name in [*self._processes]:
            await self._end(name)

    async def remove_server(self) -> None:
        """Stop the server, and remove its files."""
        if self._server is not None:
            await asyncio.to_thread(cluster.remove, self.server_folder)

    async def _end(self, name: str) -> None:
        _, stack = self._processes.pop(name)
        await stack.aclose()
        self.read_log(name)
        if COMMANDS[name][0] == "gateway":
            shard = int(COMMANDS[name][-1].partition("/")[0])
            await self.discord.world.changes.until(
                lambda: None if shard in self.connected_shards() else True,
                START_SECONDS,
                f"shard {shard} is still connected",
            )

    def connected_shards(self) -> set[int]:
        return {session.shard[0] for session in self.discord.gateway.live}
