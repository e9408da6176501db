"""The settings of skills.video."""

from decimal import Decimal

from bot.settings import Address, Credits, ProviderSettings


class SkillsSettings(ProviderSettings, env_prefix="SKILLS_"):
    """`price` is in credits per picture: the API reports no list price."""

    api_url: Address = "https://open.skills.video/api/v1"
    model: str = "qwen/qwen-image-2-pro"
    price: Credits = Decimal(20)
