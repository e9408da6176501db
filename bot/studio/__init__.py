"""The use cases: everything that members can request, one module for each subject.

The cogs import Studio and the errors from here. Every refusal is a UserError, raised before
anything is stored. Nothing in this package knows Discord.
"""

from bot.studio.jobs import CannotCancel, JobSettled, NoSuchJob
from bot.studio.requests import Restarting
from bot.studio.studio import Studio

__all__ = ["CannotCancel", "JobSettled", "NoSuchJob", "Restarting", "Studio"]
