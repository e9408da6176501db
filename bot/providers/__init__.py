"""The image APIs. Each has a folder here and one line in PROVIDERS.

`base` has the interface; `api_client`, `parsing`, `error_mapping` and `sse` are shared by the
providers. Nothing outside a provider's folder may name that provider. Comments refer to the facts
of the APIs by the headings of docs/internals/apis.md.
"""

from bot.providers.base import AnyEntry
from bot.providers.oxen import OXEN
from bot.providers.skills import SKILLS

# Their models are tried in this order if a member names none.
PROVIDERS: tuple[AnyEntry, ...] = (OXEN, SKILLS)
