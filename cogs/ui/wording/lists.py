"""Lists, credits, models and the help."""

from collections.abc import Mapping

from bot.periods import PeriodKind
from cogs.ui.wording.texts import Plural

MORE_VALUES = "{values} and {number} more"


class Lists:
    """`/jobs` and `/history`."""

    JOBS = "### Your jobs"
    HISTORY = "### Your history"
    NO_JOBS = "You have no jobs yet. Request a picture with /imagine."
    NO_HISTORY = "No job of yours has ended yet. Request a picture with /imagine."
    JOB = "- **{state}** {time} · {prompt} · {service}"
    LINKED_JOB = "- **{state}** {time} · {prompt} · {service} · [show]({link})"
    JOB_CHOICE = "{state}: {prompt}"
    NOT_LISTED = "-# Only {count} of your jobs are listed"
    HISTORY_SELECT = "Show the pictures of a job"


class History:
    """`/history`, beside the texts of all lists."""

    JOB = "**{state}** {time}\n{prompt}\n{facts}"
    FAVOURITE = "★ favourite"
    LINK = "[show]({link})"
    MODEL = "model {model}"
    FAVOURITES = "favourites"
    SINCE = "since {day}"
    UNTIL = "until {day}"
    NOTHING = "No job of yours fits. Leave out a filter of /history, or choose another one."
    PAGE_EMPTY = "This page has no jobs any more. Turn to another page."
    NEWER = "◀ Newer"
    OLDER = "Older ▶"
    DAYS: Mapping[int, str] = {
        0: "today",
        1: "yesterday",
        7: "a week ago",
        30: "30 days ago",
        90: "90 days ago",
        365: "a year ago",
    }


class Usage:
    """`/usage`."""

    HERE: Mapping[PeriodKind, str] = {
        PeriodKind.DAY: "### Your credits today in this server",
        PeriodKind.WEEK: "### Your credits this week in this server",
        PeriodKind.MONTH: "### Your credits this month in this server",
    }
    MONTH = "### Your credits this month in all servers"
    LEFT = "Left: **{credits}**"
    NO_LIMIT = "Left: **no limit**"
    BELOW_ZERO = "Left: **{credits} below zero**, because a job has cost more than was held for it"
    GRANTS = "Grants among these: **{credits}** (grants last until they are used)"
    ALLOWANCE = "Allowance: **{credits}**"
    USED = "Used: **{credits}**"
    HELD = "Held for jobs in progress: **{credits}**"
    RESERVED = (
        "Reserved: **{credits}** for jobs that were given up and may still be charged, until "
        "<t:{until}:f> at the latest"
    )
    PICTURES = "Pictures: **{pictures}** · Jobs: **{jobs}**"
    RESET = "-# Resets <t:{resets}:R>, on <t:{resets}:f> (midnight in {zone})"
    COSTS = "-# Failed and canceled jobs cost nothing."
    LAST_DAYS = "### The last {days} days in this server"
    LAST_DAYS_ANYWHERE = "### The last {days} days in all servers"
    MODEL = "- {model}: **{credits}** · {pictures} · {jobs}"
    OTHER_MODELS = "- other models: **{credits}**"
    JOBS = Plural("1 job", "{count} jobs")
    NOTHING = "No credits were used."
    CHART = "Used each day"
    UNIT = "credits"
    ALT_TEXT = (
        "Bar chart: {credits} from {first} to {last}. The dearest day is {highest}, with {most}."
    )
    DAY = "{day} {month}"
    CHART_FAILED = "-# There is no chart at the moment."


class Models:
    """`/models`."""

    MODEL = "### {title}\n`model:{key}` · {price} · {inputs}\n{options}"
    PRICE = "{credits} a picture"
    ESTIMATED_PRICE = "about {credits} a picture"
    UNUSABLE = "### {title}\n`model:{key}` · makes no pictures at the moment"
    NO_INPUTS = "edits no pictures"
    INPUTS = Plural("edits one picture", "edits up to {count} pictures")
    OPTION = "- `{name}` {values}"
    DEFAULT_VALUE = "**{value}**"
    WHOLE = "{minimum} to {maximum}"
    YES_BY_DEFAULT = "yes or no, **yes** by default"
    NO_BY_DEFAULT = "yes or no, **no** by default"
    TEXT = "text"
    LIMITED_TEXT = "text, up to {longest} characters"


class Help:
    """`/help`."""

    INTRODUCTION = (
        "### Easel makes pictures\n"
        "Describe a picture with `/imagine`, or attach one to `/edit` and describe the change. "
        "The result is posted in this channel and mentions you, so you need not wait. "
        "With `private`, nobody else sees the result.\n"
        "To change a result, press Remix or Edit under the picture. Or reply to the message: "
        "mention the bot and describe the change. "
        "“2: add snow” changes the second picture."
    )
    COMMAND = "- `/{name}` {description}"
    MENU = "- *Apps → {name}* in the menu of a message with pictures"
    COSTS = (
        "-# Every picture costs credits; /usage shows how many you have used. "
        "Failed and canceled jobs cost nothing."
    )
