"""`/server`: the pages of settings, their forms, the audit, and notices about budgets."""

from collections.abc import Mapping

from bot.periods import PeriodKind


class ServerPages:
    """The private pages of `/server settings`."""

    SUBJECTS: Mapping[str, str] = {
        "access": "Access and notices",
        "budget": "Budget and time zone",
        "default": "Default rights",
        "roles": "Rights of roles",
        "tiers": "Tiers",
    }
    SUBJECT_SELECT = "Show another subject"
    ROLE_SELECT = "Show the rights of a role"
    TIER_SELECT = "Show a tier"
    TAKE_SELECT = "Take the rights of a tier"
    NO_TIER = "No tier"
    CHANGE = "Change"
    AMOUNTS = "Change amounts"
    ACCESS = "Change models and pictures"
    RESET = "Reset to ready-made"
    OPEN_AGAIN = "Open the form again"
    CHANGED = "Your changes are stored, and listed by /server audit."
    UNCHANGED = "The form has changed nothing."
    TYPED = "{label}: {value}"
    NOTHING_TYPED = "—"

    ACCESS_TITLE = "### Access and notices"
    ACCESS_TEXT = (
        "Channels in which the bot makes pictures: {channels}\n"
        "Roles whose members may make pictures: {roles}\n"
        "Channel for notices: {notices}"
    )
    ACCESS_HINT = (
        "-# The channel for notices hears once in a period that 80 % of the budget are used. "
        "Deleted channels and roles are dropped when you save the form."
    )
    NO_POST = (
        "**The bot cannot post in the channel for notices.** Let it view the channel and send "
        "messages there, or choose another one."
    )
    BUDGET_TITLE = "### Budget and time zone"
    BUDGET_TEXT = (
        "Budget of this server: **{budget}**\n"
        "Used since <t:{begin}:f>, with what is held: **{used}**\n"
        "Time zone: **{zone}**\n"
        "The day ends <t:{day}:R>, the week <t:{week}:R>, the month <t:{month}:R>."
    )
    BUDGET_USED_UP = (
        "**The budget is used up.** No pictures can be made until <t:{end}:f>, unless you raise "
        "the budget."
    )
    BUDGET_NONE = "**The budget is 0.** No pictures can be made until you raise the budget."
    BUDGET_NEARLY = "**80 % or more of the budget are used.** It is renewed <t:{end}:R>."
    NO_NOTICES = "No channel hears of that: choose one under “Access and notices”."
    BUDGET_HINT = (
        "-# Weeks begin on Monday. A new time zone applies from its next midnight, Monday or first "
        "of a month. The operator's budgets for the whole bot apply in any case."
    )
    RIGHTS: Mapping[str, str] = {
        "allowance": "Allowance of each member",
        "models": "Models",
        "pictures": "Pictures at once",
        "private": "Private pictures",
        "edit": "Edit pictures",
        "jobs": "Jobs at once",
        "cooldown": "Time between two requests",
    }
    RIGHT = "{name}: **{value}**"
    OF_TIER = "{name}: **{value}** (tier {tier})"
    DEFAULT_TITLE = "### Default rights"
    DEFAULT_HINT = (
        "-# For every member whose roles have no right of their own. What is not set here is "
        "unlimited."
    )
    ROLES_TITLE = "### Rights of roles"
    ROLES_TEXT = "Roles with rights of their own: {roles}"
    NO_ROLES = "No role has rights of its own: everybody has the default rights."
    ROLES_HINT = "-# A member with several roles has the best of each right."
    ROLE_TITLE = "### Rights of {role}"
    ROLE_HINT = (
        "-# What is not set here is granted by the tier, else by the member's other roles, else by "
        "the default rights."
    )
    TIERS_TITLE = "### Tiers"
    TIERS_TEXT = (
        "A tier is a set of rights that a role, or the default rights, can take. This server has "
        "changed: {tiers}"
    )
    TIERS_NONE = "none"
    TIER_TITLE = "### Tier {tier}"
    TIER_CHANGED = "-# Changed by this server. Every role that has taken this tier has its rights."
    TIER_READY_MADE = "-# As ready-made. Every role that has taken this tier has its rights."


class ServerForms:
    """The forms of `/server settings`: titles and labels of 45 characters, hints of 100."""

    ACCESS = "Access and notices"
    BUDGET = "Budget and time zone"
    AMOUNTS = "Amounts"
    MODELS = "Models and pictures"
    CHANNELS = "Channels in which pictures are made"
    CHANNELS_HINT = "Empty: every channel. Threads belong to their channel."
    ROLES = "Roles whose members make pictures"
    ROLES_HINT = "Empty: everybody."
    NOTICES = "Channel for notices"
    NOTICES_HINT = "Empty: none. It hears once when 80 % of the budget are used."
    BUDGET_AMOUNT = "Budget of this server, in credits"
    BUDGET_AMOUNT_HINT = "Empty: unlimited. 0: no pictures."
    BUDGET_PERIOD = "Period of the budget"
    BUDGET_PERIOD_HINT = "The budget is renewed when a period begins."
    ZONE = "Time zone"
    ZONE_HINT = "Such as Europe/Berlin. Empty: UTC."
    AMOUNT = "Allowance of each member, in credits"
    AMOUNT_HINT = "Empty: not set. 0: none. “unlimited”: no limit."
    PERIOD = "Period of the allowance"
    PERIOD_HINT = "The allowance is renewed when a period begins."
    PICTURES = "Pictures at once"
    PICTURES_HINT = "0 to 10. Empty: not set. 0: no pictures."
    JOBS = "Jobs at once"
    JOBS_HINT = "1 to 100. Empty: not set."
    COOLDOWN = "Time between two requests"
    COOLDOWN_HINT = "Seconds, or such as 2m or 1h. Empty: not set. 0: none."
    MODELS_FIELD = "Models"
    MODELS_HINT = "Empty: not set."
    EVERY_MODEL = "Every model, later ones too"
    PRIVATE = "Private pictures"
    PRIVATE_HINT = "The option private of /imagine and /edit."
    EDIT = "Edit pictures"
    EDIT_HINT = "/edit, and every other request with input pictures."
    PERIODS: Mapping[str, str] = {
        PeriodKind.DAY: "Day",
        PeriodKind.WEEK: "Week, from Monday",
        PeriodKind.MONTH: "Month",
    }
    FLAGS: Mapping[str, str] = {"unset": "Not set", "yes": "Allowed", "no": "Not allowed"}


class Audit:
    """`/server audit`."""

    TITLE = "### Changes in this server"
    LINE = "<t:{time}:f> · {member} · **{subject}**\n{before} → {after}"
    NOTHING = "No changes are listed here. Make one with /server settings."
    NEWEST = "◀ Newest"
    OLDER = "Older ▶"


class Notices:
    """Messages in the channel for notices."""

    SERVER = (
        "80 % or more of this server's budget are used: {used} of {limit}. The budget is renewed "
        "<t:{end}:R>."
    )
