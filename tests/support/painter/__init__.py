"""A third provider, as a contributor would add one: two models at one API."""

from bot.ledger import thousandths
from bot.providers.base import ProviderEntry
from tests.support.painter.provider import Painter, PainterSettings, mural, sketch

PAINTER = ProviderEntry(
    key=Painter.key,
    key_page="https://painter.example/keys",
    settings=PainterSettings,
    specs=lambda settings: (
        sketch(price=thousandths(settings.price)),
        mural(price=thousandths(settings.mural_price)),
    ),
    make=Painter,
)
