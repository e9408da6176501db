"""`/privacy`."""

from cogs.ui.wording.texts import Plural


class Privacy:
    STORED = (
        "### Your data in this bot\n"
        "**Stored:** your requests (prompts, options, times, ids of server, channel and messages), "
        "their pictures, the pictures that you attach to them, your credits, your favourites, and "
        "your choice of /my notify. Nothing else that you write is stored.\n"
        "**How long:** files of pictures for {days} after the last job that used them, or "
        "earlier if the space is needed.{prompts} What lets the bot answer a command, for 15 "
        "minutes. All else for as long as this bot is run, or until its operator deletes it."
    )
    DAYS = Plural("1 day", "{count} days")
    PROMPTS = " Prompts, and the names of attached pictures, for {days} after the request."
    SHARED = (
        "**Who receives it:** the service that draws gets the prompt, the options and the input "
        "pictures, without your name: {services}. Discord gets the results. The operator, and "
        "in servers the managers, see what was used and spent. Your data is not sold, not used for "
        "advertising, and not used by this bot to train models."
    )
    CONTACT = "To see, correct or delete your data, write to the operator: see Support below."
    NO_CONTACT = "To see, correct or delete your data, ask the people who run this bot."
    PAGE = "[{label}](<{url}>)"
    PAGES = "-# {links}"
    POLICY = "Privacy policy"
    TERMS = "Terms"
    SUPPORT = "Support"
