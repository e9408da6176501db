"""The settings of Oxen.ai."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from bot.settings import Address, Credits, ProviderSettings


class OxenSettings(ProviderSettings, env_prefix="OXEN_"):
    """`price` is in credits per picture, until the API reports its own."""

    api_url: Address = "https://hub.oxen.ai/api"
    model: str = "qwen-image-2"
    price: Credits = Decimal("7.5")
    credits_per_usd: Annotated[
        Decimal, Field(gt=0, le=1_000_000, validation_alias="CREDITS_PER_USD")
    ] = Decimal(100)
