"""`/credits`: the credits of a server, for its managers."""

from collections.abc import Mapping

from bot.periods import PeriodKind
from cogs.ui.wording.texts import Plural


class CreditsCommand:
    """Descriptions of the commands, at most 100 characters each."""

    GROUP = "For managers: the credits of this server"
    MEMBER = "Show the credits of a member, also of one who has left"
    GRANT = "Give a member credits that last until they are used"
    REFUND = "Give a member the cost of a job back, once for each job"
    ALLOWANCE = "Show or set the allowance of a role, of a member, or the default of this server"
    BUDGET = "Show or set the budget of this server"
    TIER = "Ready-made rights that roles can take"
    TIER_SHOW = "Show the tiers, and the roles that have taken them"
    TIER_TAKE = "Give a role the rights of a tier; without a role, the default of this server"
    TIER_DROP = "Take the tier from a role; without a role, from the default of this server"
    REPORT = "Show who has used how many credits, with a chart and a table"


class CreditsArgument:
    """Descriptions of the commands' options, at most 100 characters each."""

    MEMBER = "The member, or the id of one who has left"
    GRANTED = "Credits, such as 20 or 7.5"
    REASON = "The reason, which the table of the report shows"
    JOB = "The job: one that was charged in this server"
    LIMIT = "Credits for each period, or: unlimited, none, unset. Without it, the limit is shown"
    PERIOD = "The time after which the credits are renewed"
    ROLE = "The role whose members have the allowance"
    OF_MEMBER = "The member who has the allowance, whatever the roles give"
    TIER = "The tier"
    TIER_ROLE = "The role; without it, the default of this server"
    SPAN = "The days of the report; without it, this month"
    FROM = "The first day, like 2026-01-31"
    TO = "The last day, like 2026-01-31"
    LIMITS: Mapping[str, str] = {
        "unlimited": "unlimited",
        "none": "none (no credits at all)",
        "unset": "unset (remove this limit)",
    }


PERIODS: Mapping[PeriodKind, str] = {
    PeriodKind.DAY: "day",
    PeriodKind.WEEK: "week",
    PeriodKind.MONTH: "month",
}


class Limits:
    """Allowances and budgets."""

    PER_PERIOD = "{amount} a {period}"
    UNLIMITED = "unlimited"
    NONE = "none at all"


class Credits:
    """The replies of `/credits`, apart from the report. Amounts have their unit."""

    MEMBER = "### Credits of {member}"
    LEFT_SERVER = "{member} is not in this server any more."
    LEFT = "Left: **{left}**"
    UNLIMITED_LEFT = "Left: **unlimited**"
    USED = "Used: **{used}**"
    HELD = "Held for jobs in progress: **{held}**"
    RESERVED = (
        "Reserved for jobs that may still be charged, until <t:{until}:f> at the latest: "
        "**{reserved}**"
    )
    GRANTED = "Granted, and not used yet: **{granted}**"
    ALLOWANCE = "Allowance: **{limit}**, {origin}"
    NO_ALLOWANCE = "Allowance: **unlimited**, because nobody has set one"
    OWN = "set for this member"
    ROLES = "by the best of the roles: {roles}"
    DEFAULT = "by the default of this server"
    RENEWED = "Renewed <t:{resets}:R>"
    MONTH_ENDS = "This month ends <t:{resets}:R>"
    JOBS = "Last jobs:"
    NO_JOBS = "No jobs in this server."
    JOB = "- **{state}** {time} · {prompt} · {cost} · `{job}`"
    PRIVATE_JOB = "- {cost} · `{job}`"
    FREE = "nothing charged"
    GRANT = "{member} got **{amount}** on top of the allowance. Grants last until they are used."
    REFUND = "{member} got **{amount}** back for job `{job}`."
    GRANTS_LEFT = "Of all grants, {granted} are left."
    BUDGETS_STAY = "The budgets of this server and of the operator do not become greater by that."
    SET = "The allowance {whose} is now **{limit}**."
    SHOWN = "The allowance {whose} is **{limit}**."
    REMOVED = "The allowance {whose} is no longer set."
    NOT_SET = "The allowance {whose} is not set."
    OF_MEMBER = "of {member}"
    OF_ROLE = "of the role {role}"
    OF_DEFAULT = "by default"
    NOW_LEFT = "{member} has **{left}** left until <t:{resets}:f>."
    NOTHING_LEFT = (
        "{member} has used as much already: nothing is left until the allowance is renewed "
        "<t:{resets}:R>."
    )
    LOWERED = "Whoever has used as much already has nothing left until the allowance is renewed."
    OPERATOR_IS_LOWER = "The operator's limit is lower, and holds besides."
    BUDGET = "The budget of this server is **{limit}**."
    BUDGET_SET = "The budget of this server is now **{limit}**."
    BUDGET_USED = "Used: **{used}** · Left: **{left}** · renewed <t:{resets}:R>"
    BUDGET_NOTHING_LEFT = "As much is used already: nothing is left until the budget is renewed."
    NO_BUDGET_USED = "Used this month: **{used}**"


class Tiers:
    """`/credits tier`."""

    TITLE = "### Tiers"
    TIER = "**{tier}**{changed}\n{rights}\n-# {taken}"
    CHANGED = " (changed by this server)"
    TAKEN = "Taken by {subjects}"
    NOT_TAKEN = "Not taken by any role"
    BY_DEFAULT = "the default of this server"
    ALLOWANCE = "allowance {limit}"
    MODELS = "models: {models}"
    ALL_MODELS = "all models"
    PICTURES = Plural("1 picture at once", "{count} pictures at once")
    PRIVATE = "private pictures"
    NO_PRIVATE = "no private pictures"
    EDIT = "/edit"
    NO_EDIT = "no /edit"
    JOBS = Plural("1 job at once", "{count} jobs at once")
    COOLDOWN = Plural("1 second between requests", "{count} seconds between requests")
    TOOK = "{subject} now has the tier **{tier}**."
    HAD = "{subject} has the tier **{tier}** already."
    DROPPED = "{subject} no longer has the tier **{tier}**."
    NO_TIER = "{subject} has no tier."
    OF_DEFAULT = "The default of this server"
    OWN_RIGHTS = "Rights that were set for it besides take precedence."
    HINT = "-# /server settings changes the rights of a tier."


class Report:
    """`/credits report`."""

    TITLE = "### Credits from {first} to {last}\n-# Days of the time zone {zone}"
    TOTAL = "In all: {sums}"
    BALANCE = "Balance at {service}, {time}: {amount}"
    LOW_BALANCE = "Balance at {service}, {time}: {amount}. New jobs there are refused."
    MEMBERS = "**Members**"
    MODELS = "**Models**"
    DAYS = "**Days**"
    LINE = "- {subject}: {sums}"
    USED = "used {amount}"
    HELD = "held {amount}"
    LOST = "lost {amount}"
    GRANTED = "granted {amount}"
    NOTHING_USED = "nothing used"
    NOBODY = "charges for failed jobs"
    MORE = Plural("-# and 1 more", "-# and {count} more")
    NOTHING = "Nobody has used credits in this time. Choose another period."
    CUT = "-# The table has the newest {count} jobs and grants."
    PRIVATE = "-# Of private jobs, the table has the member, the amounts and the id."
    NO_CHART = "-# The chart could not be drawn. Try again in a few minutes."
    CHART = "Used each day"
    UNIT = "credits"
    ALT_TEXT = (
        "A chart of the credits used on each day from {first} to {last}: {used} in all, most on "
        "{highest} with {most}"
    )
