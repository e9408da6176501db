"""A client with a studio on a real database, for commands and presses without a gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord

from bot.services import Services
from bot.store.database import Database
from bot.studio import Studio
from cogs import CommandPermissions, MenuForms, MenuTokens
from tests.support.ground import Ground, ground
from tests.support.services import services_on


class ServingClient(discord.Client):
    """The parts of Easel's client that commands, buttons and forms use."""

    studio: Studio
    menu_forms: MenuForms
    menu_tokens: MenuTokens
    command_permissions: CommandPermissions


class Serving(Ground):
    """The ground with a studio; no worker runs."""

    services: Services

    @property
    def studio(self) -> Studio:
        assert isinstance(self.client, ServingClient)
        return self.client.studio


@asynccontextmanager
async def serving(
    database: Database,
    folder: Path,
    **limits: Any,  # noqa: ANN401  # of bot.quotas
) -> AsyncIterator[Serving]:
    """Yield the ground with a studio; `limits` are those of the operator."""
    async with ground(ServingClient) as on:
        made = Serving(on.fake, on.client)
        services = services_on(database, folder, made.now)
        made.services = replace(services, quotas=replace(services.quotas, **limits))
        client = made.client
        assert isinstance(client, ServingClient)
        client.studio = Studio(made.services, wake=lambda: None)
        client.menu_forms = MenuForms(made.now)
        client.menu_tokens = MenuTokens(made.now)
        client.command_permissions = CommandPermissions(made.now)
        yield made
