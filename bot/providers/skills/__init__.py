"""skills.video: settings, model and API client."""

from bot.ledger import thousandths
from bot.providers.base import ProviderEntry
from bot.providers.skills.model import SkillsSettings, skills_spec
from bot.providers.skills.provider import Skills
from bot.providers.skills.rows import credits_of

SKILLS = ProviderEntry(
    key=Skills.key,
    key_page="https://skills.video/dashboard/developer",
    settings=SkillsSettings,
    specs=lambda settings: (skills_spec(price=thousandths(settings.price)),),
    make=Skills,
    credits_of=lambda _, figures: credits_of(figures),
    floor=lambda settings: settings.floor,
)
