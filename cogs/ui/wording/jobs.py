"""Jobs: their status messages, results and failures."""

from collections.abc import Mapping

from bot.errors import Reason
from bot.jobs import JobStatus
from cogs.ui.wording.texts import Plural, Range

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
    ESTIMATED_CREDITS = "about {credits}"


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
    COPY_ALT_TEXT = "Input picture for: {prompt}"
    CANNOT_POST = "The bot cannot post here, so the result will replace this message."
    CANNOT_POST_LACKING = (
        "The bot cannot post here, so the result will replace this message. "
        "Missing permissions: {permissions}."
    )
    CANCELED = "**Canceled.** {released}\n{prompt}"
    CANCELED_BY_MODERATOR = "**Canceled by a moderator.** {member} {released}\n{prompt}"
    CANCELING = "**Canceling.** The job stops as soon as its service allows that.\n{prompt}"


CREDITS = Plural("1 credit", "{count} credits")


class Receipts:
    """The cost of a job or the released hold, and the rest of the credits, for the requester."""

    RELEASED = Plural(
        "Nothing was charged: 1 credit is released.",
        "Nothing was charged: {count} credits are released.",
    )
    NOTHING_YET = "Nothing was charged so far."
    RESERVED = "Up to {credits} may be charged within a day, if {service} still finishes the job."
    LEFT = "{credits} left"
    BELOW_ZERO = "{credits} below zero"


class Warnings:
    """The message to a member whose credits are almost used."""

    MEMBER = (
        "You have used {percent} % of your credits, and have {credits} left. Your credits are "
        "renewed <t:{time}:R>."
    )
    MONTH = (
        "You have used {percent} % of your credits for this month, in all servers, and have "
        "{credits} left. Your credits are renewed <t:{time}:R>."
    )


class Result:
    """The message that shows how a job ended, and `/show`."""

    HEADING = "{member}\n{prompt}"
    ALT_TEXT = "AI-generated: {prompt}"
    FAILED = "{member} {reason} {released}\n{prompt}"
    CANCELED_BY_MODERATOR = "A moderator canceled this job. Nothing was charged."
    OVERDUE = "{service} finished this job after it had been given up. The job is charged: {cost}."
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


class HiddenPrompt:
    """Texts that replace a prompt which Discord refuses to show."""

    AUTOMOD = "prompt hidden by this server's AutoMod"
    LINKS = "prompt hidden because of a link that Discord blocks"


class RemovedPrompt:
    """Texts in place of a prompt that is not stored any more."""

    BY_OPERATOR = "Prompt removed: the operator of this bot stores prompts for a limited time"
    BY_MEMBER = "Prompt deleted by the member"


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
        "{member} The job failed, and the reason could not be posted. Nothing was charged. "
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
