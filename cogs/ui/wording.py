"""The wording: every text that members read, apart from the UserError classes.

Texts will be translated, so each is whole and each placeholder has a name. A text that depends on
a number is a pair of two whole texts, of which `plural` picks one.
"""

from collections.abc import Mapping
from typing import NamedTuple

from bot.errors import Reason
from bot.jobs import JobStatus, Notify


class Plural(NamedTuple):
    """The same text for the number one and for all other numbers, which `{count}` stands for."""

    one: str
    many: str


class Range(NamedTuple):
    """The same text for one figure, `{last}`, and for a range from `{first}` to `{last}`."""

    one: str
    many: str


def plural(texts: Plural, count: int) -> str:
    """Return the text that fits the number, with the number filled in."""
    return (texts.one if count == 1 else texts.many).format(count=count)


class Command:
    """Descriptions of the commands, at most 100 characters each, and the name of the menu."""

    IMAGINE = "Make a picture from a description"
    EDIT = "Change a picture, or make one from several"
    EDIT_MENU = "Edit image"
    RECIPE_MENU = "Recipe"
    JOBS = "List your jobs: those in progress and the last that ended"
    CANCEL = "Cancel one of your jobs in progress"
    HISTORY = "Find your earlier jobs, with small pictures"
    SHOW = "Show one job in full, with its pictures and buttons"
    USAGE = "Show your credits this month: used, held and left"
    MY = "Your own choices, in every server"
    NOTIFY = "Choose how your results reach you, or see the present choice"
    MODELS = "List the models, their options and the price of a picture"
    HELP = "Show how to use this bot"


class Argument:
    """Descriptions of the commands' options, at most 100 characters each."""

    IMAGINE_PROMPT = "The picture to draw, in any language"
    EDIT_PROMPT = "The change to make, in any language"
    IMAGE = "The picture: PNG, JPEG or WebP, at most 10 MiB"
    IMAGE2 = "A second picture, if the model accepts several"
    IMAGE3 = "A third picture"
    IMAGE4 = "A fourth picture"
    ASPECT_RATIO = "The shape of the picture"
    IMAGE_SIZE = "A size instead of a shape"
    COUNT = "The number of pictures"
    NEGATIVE_PROMPT = "Things that must not be in the picture"
    SEED = "The same seed with the same options makes the same picture again"
    EXPAND_PROMPT = "Let the model write a longer prompt before drawing"
    OUTPUT_FORMAT = "The format of the file"
    SAFETY_CHECKER = "Check the request and the picture; on by default"
    MATCH_INPUT_IMAGE = "Give the result the shape of the picture"
    MODEL = "The model that draws the picture"
    PRIVATE = "Show the result to nobody but you"
    JOB = "One of your jobs"
    HISTORY_TEXT = "A part of the prompt"
    HISTORY_MODEL = "The model that has drawn"
    FAVOURITES = "Your favourites alone"
    SINCE = "The first day (UTC), like 2026-01-31"
    UNTIL = "The last day (UTC), like 2026-01-31"
    HOW = "How your results reach you; without it, the present choice is shown"
    DEFAULT_CHOICE = "{value} (default)"


class EditForm:
    """Labels of the forms that the menu and the button *Edit* open, at most 45 characters each."""

    PROMPT = "The change to make"
    PICTURES = "The pictures to edit"
    PICTURE_CHOICE = "{number}: {name}"
    PICTURE = "The picture to edit"
    RESULT_CHOICE = "Picture {number}"
    REFERENCES = "Further pictures, if you like"
    REFERENCES_HINT = "Up to 3 as PNG, JPEG or WebP, if the model accepts several"


class RemixForm:
    """Labels of the form that the button *Remix* opens, at most 45 characters each."""

    PROMPT = "The picture to draw"
    NEGATIVE_PROMPT = "Things that must not be in the picture"
    SHAPE = "The shape of the picture"
    DEFAULT_SHAPE = "As the model chooses"
    COUNT = "The number of pictures"
    SWITCHES = "Options"
    NEW_SEED = "New seed"
    SEED = "Else seed {seed} is used again"
    NO_SEED = "The request had no seed, so a new one is drawn in any case"
    EXPAND = "Expand the prompt: the model rewrites it before drawing"


class Actions:
    """The buttons under a result."""

    AGAIN = "Again"
    REMIX = "Remix"
    EDIT = "Edit"
    MORE = "More"


STATES: Mapping[JobStatus, str] = {
    JobStatus.QUEUED: "Queued",
    JobStatus.SUBMITTING: "Starting",
    JobStatus.RUNNING: "Drawing",
    JobStatus.SUCCEEDED: "Done",
    JobStatus.FAILED: "Failed",
    JobStatus.CANCELED: "Canceled",
}


class Fact:
    """Short facts about a job, which stand side by side in small print."""

    AI_GENERATED = "AI-generated"
    CHOSEN_MODEL = "{model} (chosen for you)"
    PICTURES = Plural("1 picture", "{count} pictures")
    REQUESTER = "by {member}"
    INPUTS = Plural("from 1 picture", "from {count} pictures")
    SOURCE = "made from [a picture]({link}) by {member}"
    SEED = "seed {seed}"
    SECONDS = "{seconds} s"
    CREDITS = "{credits} credits"
    ESTIMATED_CREDITS = "about {credits} credits"


class Status:
    """The status message of a job that waits, and the messages about a cancel."""

    HEADING = "**{state}** {time}\n{prompt}"
    CANCELING_STATE = "Canceling"
    CANCEL_BUTTON = "Cancel"
    DOWN = (
        "{service} does not work at the moment. The job starts as soon as {service} works again; "
        "after half an hour of waiting, the job fails and costs nothing."
    )
    PLACE = "Place {place} in the queue: {ahead}."
    NONE_AHEAD = "this job is next"
    AHEAD = Plural("1 job is ahead", "{count} jobs are ahead")
    BEHIND = "At least {count} jobs are ahead in the queue."
    USUAL_SECONDS = Range("usually about {last} s", "usually {first}–{last} s")
    USUAL_MINUTES = Range("usually about {last} min", "usually {first}–{last} min")
    SLOW = "Slower than usual. The service is still drawing, and the result will follow."
    FINAL_STATE = "Taking longer"
    FINAL = (
        "The job takes longer than this message can be edited. The result will be sent to you by "
        "direct message; if it does not arrive, see /history."
    )
    COPIES = (
        "Copies of your pictures, for {service} to download. Only you see this message; keep it "
        "until the job ends."
    )
    CANNOT_POST = "The bot cannot post here, so the result will replace this message."
    CANNOT_POST_LACKING = (
        "The bot cannot post here, so the result will replace this message. "
        "Missing permissions: {permissions}."
    )
    CANCELED = "**Canceled.** You were not charged.\n{prompt}"
    CANCELED_BY_MODERATOR = "**Canceled by a moderator.** {member} was not charged.\n{prompt}"
    CANCELING = "**Canceling.** The job stops as soon as its service allows that.\n{prompt}"


class Result:
    """The message that shows how a job ended, and `/show`."""

    HEADING = "{member}\n{prompt}"
    ALT_TEXT = "AI-generated: {prompt}"
    FAILED = "{member} {reason} You were not charged.\n{prompt}"
    CANCELED_BY_MODERATOR = "A moderator canceled this job. You were not charged."
    OVERDUE = "{service} finished this job after it had been given up. The job is charged."
    PARTIAL = "{service} made {made} of {count} pictures."
    ALL_REMOVED = "The pictures are no longer stored."
    SOME_REMOVED = Plural(
        "1 of the pictures is no longer stored.",
        "{count} of the pictures are no longer stored.",
    )
    TOO_LARGE = Plural(
        "1 picture is too large to be uploaded here.",
        "{count} pictures are too large to be uploaded here.",
    )
    SHRUNK = "Shrunk to fit the upload limit here; the original is stored."
    POSTED = "Your result is ready: {link}"
    NOT_YET_POSTED = (
        "The result is not posted yet, because Discord does not accept it at the moment. "
        "The bot will try again."
    )
    UNDELIVERABLE = "The result could not be posted, and is stored here. {reason}."


class More:
    """The private menu behind the button *More*, and its pages."""

    HEADING = "### More\n{prompt}"
    DELETED = "This result was deleted. Only you still see the job, with `/show`."
    RECIPE = "Recipe"
    ORIGINALS = "Originals"
    FAVOURITE = "Favourite"
    NO_FAVOURITE = "Remove favourite"
    SPOILER = "Spoiler"
    NO_SPOILER = "Remove spoiler"
    LINEAGE = "Lineage"
    THREAD = "Continue in a thread"
    EXPANDED = "Remix expanded prompt"
    DELETE = "Delete"
    MENU = "Menu"  # leads from a page to the menu
    PARENT = "Back"  # to the picture that this one was made from
    FAVOURITE_GONE = "The picture is no longer among your favourites."
    SHOWN_ORIGINALS = Plural(
        "The original picture, not reduced.", "{count} original pictures, not reduced."
    )
    REMOVED = Plural("1 original is no longer stored.", "{count} originals are no longer stored.")
    TOO_LARGE = "Too large to be sent here: {files}."
    FILE = "{name} ({size} MB)"
    THREAD_OPENED = (
        "The thread is open: {link}. Everything that is made there is posted there, and others "
        "can read it."
    )
    THREAD_EXISTS = "This result has a thread already: {link}."
    THREAD_START = "Everything that is made in this thread is posted here."
    THREAD_NAME = "Picture {job}"


class Permission:
    """Permissions by the names that Discord's client shows."""

    VIEW = "View Channels"
    READ_HISTORY = "Read Message History"
    CREATE_THREADS = "Create Public Threads"


class Deletion:
    """The question before a result is deleted, and the answer."""

    QUESTION = (
        "### Delete this result?\n{prompt}\n"
        "The message is deleted for everybody, and nobody but the requester sees the job any more. "
        "The requester keeps the pictures. Credits are not returned."
    )
    CONFIRM = "Delete for everybody"
    KEEP = "Keep"
    DONE = "The result is deleted. The requester still has the pictures by `/show`, job `{job}`."


class Lineages:
    """The page *Lineage* of the menu."""

    HEADING = "### Lineage"
    MADE_FROM = "**Made from**"
    NOTHING = "This picture was made from a description, and not from another picture."
    MADE_OF_IT = "**Made from this picture**"
    CUT = "- … and further pictures before"
    PICTURE = "- {prompt} · by {member} {time}"
    LINKED_PICTURE = "- {prompt} · by {member} {time} · [show]({link})"
    THIS = "- **{prompt}** · by {member} {time} · this picture"
    HIDDEN = "- a private or deleted picture"


class HiddenPrompt:
    """Texts that replace a prompt which Discord refuses to show."""

    AUTOMOD = "prompt hidden by this server's AutoMod"
    LINKS = "prompt hidden because of a link that Discord blocks"


class Ended:
    """The last text of a status message whose job is shown elsewhere, or nowhere."""

    FOLLOW_UP = "{member} The result is in a message that only you see."
    PARENT_CHANNEL = "{member} The result is in the channel of this thread."
    DIRECT_MESSAGE = "{member} The result was sent to you by direct message."
    ELSEWHERE = "{member} The result is in another message. See `/show` with the job `{job}`."
    UNDELIVERABLE = (
        "{member} The result could not be posted, and is stored. See `/show` with the job `{job}`."
    )
    FAILED = (
        "{member} The job failed, and the reason could not be posted. You were not charged. "
        "See `/show` with the job `{job}`."
    )


class Refusal:
    """Reasons for which a result was not posted; stored without the full stop.

    `answer` is Discord's own message, or one of the last two.
    """

    CHANNEL = "Discord refused the message in the channel with “{answer}”"
    REPLY = "Discord refused the edit of the reply with “{answer}”"
    FOLLOW_UP = "Discord refused the private message with “{answer}”"
    PARENT_CHANNEL = "Discord refused the message in the thread's channel with “{answer}”"
    DIRECT_MESSAGE = "Discord refused the direct message with “{answer}”"
    ABANDONED = "Discord has not accepted the result for 24 hours"
    DOUBTFUL = "Discord does not say whether the result was posted in the channel"
    NO_REASON = "no reason"
    NO_CLEAR_ANSWER = "no clear answer"


FAILURES: Mapping[Reason, str] = {
    Reason.AUTH: "{service} does not accept this bot's key. Tell the bot's operator.",
    Reason.CREDITS: "The bot's account at {service} is empty. Tell the bot's operator.",
    Reason.REJECTED: "{service} refused this prompt or picture. Change it and try again.",
    Reason.INVALID: "{service} does not accept these options. Change them and try again.",
    Reason.INPUT: "An input picture could not be sent to {service}. Attach the picture again.",
    Reason.NOT_FOUND: "{service} does not know this job or its model. Please try again; "
    "if that fails too, tell the bot's operator.",
    Reason.RATE_LIMITED: "{service} is too busy at the moment. Try again in a few minutes.",
    Reason.UNAVAILABLE: "{service} cannot be reached at the moment. Try again in a few minutes.",
    Reason.TIMEOUT: "{service} did not finish in time. Try again, or request fewer pictures.",
    Reason.MALFORMED: "{service} sent an answer that cannot be read. Please try again.",
    Reason.AWAY: "The bot was offline when this job was due to start, so nothing was drawn. "
    "Please try again.",
    Reason.DOUBTFUL: "The connection to {service} broke during the request, so the outcome is "
    "unknown. Please try again.",
    Reason.NO_PICTURE: "{service} finished without a picture. Please try again.",
    Reason.UNKNOWN: "{service} could not make this picture. Please try again.",
}
BUG = "Something went wrong, and the error was logged. Please try again."


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


class Recipe:
    """The menu "Recipe"."""

    TITLE = "### Recipe\n> {prompt}"
    NEGATIVE = "Without: {prompt}"
    DRAWN = "The service has drawn this longer prompt:\n> {prompt}"
    ATTACH = Plural(
        "Attach the picture as `image`.", "Attach the {count} pictures, as `image` first."
    )
    FILE_TITLE = "### Recipe, as the file says\n> {prompt}"
    FILE_REMARK = "anybody can write this into a file: no proof that the picture was made so"
    LONG_COMMAND = "The command is too long for a message."


class Usage:
    """`/usage`."""

    TITLE = "### Your month"
    LIMITED = (
        "Used: **{used}** credits\n"
        "Held for jobs in progress: **{held}** credits\n"
        "Left: **{left}** credits\n"
        "Pictures: **{pictures}** · Jobs: **{jobs}**"
    )
    UNLIMITED = (
        "Used: **{used}** credits\n"
        "Held for jobs in progress: **{held}** credits\n"
        "Left: **no limit**\n"
        "Pictures: **{pictures}** · Jobs: **{jobs}**"
    )
    RESERVED = (
        "Reserved: **{reserved}** credits for jobs that were given up and may still be charged, "
        "until <t:{until}:R> at the latest"
    )
    RESET = (
        "-# Resets <t:{resets}:R>, on <t:{resets}:D> (UTC). Failed and canceled jobs cost nothing."
    )


# The labels of Discord's choices, at most 100 characters each.
NOTIFY_CHOICES: Mapping[Notify, str] = {
    Notify.PING: "Ping: a message in the channel, which pings you",
    Notify.SILENT: "Silent: a message in the channel without a ping",
    Notify.DIRECT: "Direct message: a link, and a message in the channel without a ping",
    Notify.PRIVATE: "Private: nobody but you sees the result",
}


class Preferences:
    """`/my notify`."""

    NOTIFY = "**{choice}.** Choose how your results reach you with the option `how`."
    NOTIFY_CHANGED = "**{choice}.** Your next results reach you in this manner."
    SCOPE = (
        "-# This choice holds in every server. The option `private` of a command goes before it."
    )


class Models:
    """`/models`."""

    MODEL = "### {title}\n`model:{key}` · {price} · {inputs}\n{options}"
    PRICE = "{credits} credits a picture"
    ESTIMATED_PRICE = "about {credits} credits a picture"
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


class Replying:
    """Answers to replies that edit nothing, which everybody in the channel can read for seconds."""

    NEUTRAL = "This picture was not edited. See /help."
    NO_INSTRUCTION = "Nothing was edited. Write after the mention which change to make."
    NO_RESULT = "This message has no picture to edit. Reply to a result, or use /edit."
    WRONG_NUMBER = Plural(
        "This result has 1 picture. Leave the number out, as in “add snow”.",
        "This result has {count} pictures. Begin with one of their numbers, as in “2: add snow”.",
    )
    NO_CREDITS = "This picture was not edited, because you have too few credits. See /usage."
    TOO_MANY_JOBS = (
        "This picture was not edited, because you have too many jobs in progress. Wait until one "
        "ends, or stop one with /cancel."
    )
    TOO_FAST = "Your other replies are still being read. Reply again in a few seconds."
    CANNOT_POST = "The bot cannot post a picture here. Missing permissions: {permissions}."


class Help:
    """`/help`."""

    INTRODUCTION = (
        "### Easel makes pictures\n"
        "Describe a picture with `/imagine`, or attach one to `/edit` and describe the change. "
        "The result is posted in this channel and mentions you, so you need not wait. "
        "With `private`, nobody else sees the result.\n"
        "To change a result, reply to the message: mention the bot and describe the change. "
        "“2: add snow” changes the second picture."
    )
    COMMAND = "- `/{name}` {description}"
    MENU = "- *Apps → {name}* in the menu of a message with pictures"
    COSTS = (
        "-# Every picture costs credits; /usage shows how many you have used. "
        "Failed and canceled jobs cost nothing."
    )
