"""The menu of a result, recipes, replies and a member's own choices."""

from collections.abc import Mapping

from bot.jobs import Notify
from cogs.ui.wording.texts import Plural


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


class Replying:
    """Answers to replies that edit nothing, which everybody in the channel can read for seconds."""

    NEUTRAL = "This picture was not edited. See /help."
    NO_INSTRUCTION = "Nothing was edited. Write after the mention which change to make."
    NO_RESULT = "This message has no picture to edit. Reply to a result, or use /edit."
    WRONG_NUMBER = Plural(
        "This result has 1 picture. Leave the number out, as in “add snow”.",
        "This result has {count} pictures. Begin with one of their numbers, as in “2: add snow”.",
    )
    NO_CREDITS = "This picture was not edited. See /usage."
    TOO_MANY_JOBS = "This picture was not edited. See /jobs."
    TOO_FAST = "Your other replies are still being read. Reply again in a few seconds."
    CANNOT_POST = "The bot cannot post a picture here. Missing permissions: {permissions}."


# The labels of Discord's choices, at most 100 characters each.
NOTIFY_CHOICES: Mapping[Notify, str] = {
    Notify.PING: "Ping: a message in the channel, which pings you",
    Notify.SILENT: "Silent: a message in the channel without a ping",
    Notify.DIRECT: "Direct message: a link, and a message in the channel without a ping",
    Notify.PRIVATE: "Private: nobody but you sees the result",
}


class Preferences:
    """`/my notify`."""

    NOTIFY = "**{choice}.** Choose another with the option `how`."
    NOTIFY_CHANGED = "**{choice}.** Your next results arrive like this."
    SCOPE = (
        "-# This choice applies in every server. "
        "The option `private` of a command takes precedence."
    )
