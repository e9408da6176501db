"""`/privacy` and `/mydata`."""

from cogs.ui.wording.texts import Plural


class Privacy:
    STORED = (
        "### Your data in this bot\n"
        "**Stored:** your requests (prompts, options, times, ids of server, channel and messages), "
        "their pictures, the pictures that you attach to them, your credits, your favourites, and "
        "your choice of /my notify. Of managers, also changes of settings and reasons for grants. "
        "Nothing else that you write is stored.\n"
        "**How long:** files of pictures for {days} after the last job that used them, or "
        "earlier if the space is needed.{prompts} What lets the bot answer a command, for 15 "
        "minutes. All else for as long as this bot is run, or until you delete it with "
        "`/mydata delete`."
    )
    DAYS = Plural("1 day", "{count} days")
    PROMPTS = " Prompts, and the names of attached pictures, for {days} after the request."
    SHARED = (
        "**Who receives it:** the service that draws gets the prompt, the options and the input "
        "pictures, without your name: {services}. Discord gets the results. The operator, and "
        "in servers the managers, see what was used and spent. Your data is not sold, not used for "
        "advertising, and not used by this bot to train models."
    )
    OWN = "**Your data:** `/mydata export` sends you everything, `/mydata delete` deletes it."
    CONTACT = "For questions and corrections, write to the operator: see Support below."
    NO_CONTACT = "For questions and corrections, ask the people who run this bot."
    PAGE = "[{label}](<{url}>)"
    PAGES = "-# {links}"
    POLICY = "Privacy policy"
    TERMS = "Terms"
    SUPPORT = "Support"


class Erasing:
    """`/mydata delete`: the question, and the progress."""

    QUESTION = (
        "### Delete all your data?\n"
        "{jobs} with prompts, options and pictures, your favourites, and your choices are deleted "
        "for good, in every server. Your pictures also vanish from the jobs that others have made "
        "with them.\n"
        "Amounts of credits stay in the accounts under a number that nobody can trace to you "
        "without a secret key; what you have used of an allowance counts on. "
        "To see your data first, use `/mydata export`."
    )
    JOBS = Plural("1 job", "{count} jobs")
    ACTIVE = Plural(
        "1 of them is under way: it ends first.", "{count} of them are under way: they end first."
    )
    POSTED = (
        "Results that were posted are messages in Discord. With the second button, the bot "
        "deletes those in channels that it can still reach. Private results, which only you see, "
        "stay, and so do threads at results."
    )
    CONFIRM = "Delete my data"
    CONFIRM_ALL = "Delete my data and results"
    KEEP = "Keep everything"
    KEPT = "Nothing was deleted."
    PROGRESS = (
        "### Your data is being deleted\n"
        "{erased} of {jobs}. Jobs that are under way, or may still be charged, end first: that "
        "takes two days at most. What you request from now on is stored anew."
    )
    DONE = "### Your data is deleted\nNothing is under way. What you request from now on is stored."
    REFRESH = "Refresh"


class DataExport:
    """`/mydata export`: the private reply, and the messages with the files."""

    TITLE = "### Your data"
    BEGUN = (
        "Your data is being collected. The files follow by direct message: tables of your requests "
        "and credits, and your pictures."
    )
    BEGUN_HERE = (
        "Your data is being collected. The files follow here, where only you see them: tables of "
        "your requests and credits, and your pictures."
    )
    CLOSED = (
        "Your direct messages are closed to this bot, so the files follow here, where only you see "
        "them."
    )
    PROGRESS = "Part {number} of about {total} is sent."
    SENT = Plural(
        "Your data is sent: 1 file by direct message.",
        "Your data is sent: {count} files by direct message.",
    )
    SENT_HERE = Plural(
        "Your data is sent: 1 file, here below.",
        "Your data is sent: {count} files, here below.",
    )
    PART = "Part {number} of about {total}. The others follow."
    LAST = "Part {number} of {number}, the last. Unpack all of them into one folder."
    ALONE = "This file holds everything that this bot has stored about you."
    README = "-# `README.txt` in the file explains the contents."
    LEFT_OUT = Plural(
        "1 picture is left out. The table `left-out` in the last file says why.",
        "{count} pictures are left out. The table `left-out` in the last file says why.",
    )
