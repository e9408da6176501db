"""The wording: every text that members read, apart from the UserError classes.

Texts will be translated, so each is whole and each placeholder has a name. A text that depends on
a number is a pair of two whole texts, of which `plural` picks one. Everybody imports from here.
"""

from cogs.ui.wording.commands import Actions, Argument, Command, EditForm, RemixForm
from cogs.ui.wording.credits import (
    PERIODS,
    Credits,
    CreditsArgument,
    CreditsCommand,
    Limits,
    Report,
    Tiers,
)
from cogs.ui.wording.jobs import (
    BUG,
    CREDITS,
    FAILURES,
    STATES,
    Ended,
    Fact,
    HiddenPrompt,
    Receipts,
    Refusal,
    RemovedPrompt,
    Result,
    Status,
    Warnings,
)
from cogs.ui.wording.lists import MORE_VALUES, Help, History, Lists, Models, Usage
from cogs.ui.wording.menus import (
    NOTIFY_CHOICES,
    Deletion,
    Lineages,
    More,
    Permission,
    Preferences,
    Recipe,
    Replying,
)
from cogs.ui.wording.privacy import DataExport, Erasing, Privacy
from cogs.ui.wording.server import Audit, Notices, ServerForms, ServerPages
from cogs.ui.wording.texts import Plural, Range, plural

__all__ = [
    "BUG",
    "CREDITS",
    "FAILURES",
    "MORE_VALUES",
    "NOTIFY_CHOICES",
    "PERIODS",
    "STATES",
    "Actions",
    "Argument",
    "Audit",
    "Command",
    "Credits",
    "CreditsArgument",
    "CreditsCommand",
    "DataExport",
    "Deletion",
    "EditForm",
    "Ended",
    "Erasing",
    "Fact",
    "Help",
    "HiddenPrompt",
    "History",
    "Limits",
    "Lineages",
    "Lists",
    "Models",
    "More",
    "Notices",
    "Permission",
    "Plural",
    "Preferences",
    "Privacy",
    "Range",
    "Receipts",
    "Recipe",
    "Refusal",
    "RemixForm",
    "RemovedPrompt",
    "Replying",
    "Report",
    "Result",
    "ServerForms",
    "ServerPages",
    "Status",
    "Tiers",
    "Usage",
    "Warnings",
    "plural",
]
