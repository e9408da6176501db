"""Read and check a message body, and apply the body to a message."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bot.sandbox.discord import components as tree
from bot.sandbox.discord.component_reader import Reader
from bot.sandbox.discord.embeds import Embeds
from bot.sandbox.discord.mentions import Allowed, Pings, find_pings, read_allowed
from bot.sandbox.discord.messages import LOADING, SILENT, SUPPRESS_EMBEDS, V2, Message, embedded
from bot.sandbox.discord.permissions import MENTION_EVERYONE
from bot.sandbox.discord.request_body import (
    Form,
    Json,
    Path,
    Problems,
    Refusal,
    Unsupported,
    as_snowflake,
)
from bot.sandbox.discord.uploads import Attachment

KEYS: Final = frozenset(
    {"content", "embeds", "allowed_mentions", "components", "attachments", "flags", "tts"}
)
CREATE_KEYS: Final = KEYS | {"nonce", "enforce_nonce", "message_reference"}
UNSUPPORTED: Final = frozenset(
    {"sticker_ids", "poll", "shared_client_theme", "thread_name", "applied_tags"}
    | {"username", "avatar_url"}
)
# an existing attachment may be sent back with all fields of the response
ATTACHMENT_KEYS: Final = frozenset(
    {"id", "filename", "description", "size", "url", "proxy_url", "width", "height"}
    | {"content_type", "ephemeral", "spoiler", "is_spoiler", "title", "flags", "placeholder"}
    | {"placeholder_version", "duration_secs", "waveform"}
)
ONLY_V2: Final = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"


@dataclass
class Draft:
    """A body that passed every check, in the form of the resulting message."""

    content: str
    embeds: list[Json]
    tree: list[Json]
    files: list[Attachment]
    flags: int
    allowed: Allowed
    descriptions: dict[int, str] = field(default_factory=dict)
    nonce: str | int | None = None
    enforce_nonce: bool = False
    reference: Json | None = None

    def put_into(self, message: Message) -> None:
        message.content = self.content
        message.stored_embeds = self.embeds
        message.tree = self.tree
        message.files = self.files
        for file in self.files:
            file.description = self.descriptions.get(file.id, file.description) or None
        message.flags = self.flags

    def pings(self, message: Message) -> Pings:
        """Return the pings of the message; embeds are not searched for mentions."""
        texts = [item["content"] for item in tree.walk(self.tree) if item["type"] == tree.TEXT]
        found = find_pings(
            "\n".join([self.content, *texts]),
            self.allowed,
            may_everyone=_may_ping_everyone(message),
        )
        return reply_pings(found, message, self.allowed)


def read_draft(
    body: Json,
    uploads: Mapping[int, Attachment],
    next_id: Callable[[], int],
    *,
    base: Message | None = None,
    keys: frozenset[str] = KEYS,
    flags: int = SUPPRESS_EMBEDS | SILENT | V2,
    path: Path = (),
    emoji: Collection[int] = (),
) -> Draft:
    """Check a message body. Raise `Refusal`.

    `base` is the message to edit, `uploads` the files by the n of their `files[n]`, `flags` the
    bits that may be set, `path` the position of the body in the request, `emoji` the ids of custom
    emoji.
    """
    problems = Problems()
    # discordeno repeats the names of its files, and Discord ignores the key
    ignored = frozenset({"files"}) if uploads else frozenset()
    form = _form(body, keys, ignored, problems, path)
    form.flag("tts")
    wanted = form.whole("flags", 0, (1 << 31) - 1)
    bits = _flags(form, wanted, flags, base)
    descriptions: dict[int, str] = {}
    files = _files(form, uploads, base, descriptions)
    named = _named(form, uploads, files, new=base is None)
    content = form.text("content", 2000)
    read = Draft(
        content=content or "",
        embeds=[],
        tree=[],
        files=files,
        descriptions=descriptions,
        flags=bits,
        allowed=read_allowed(form),
        enforce_nonce=bool(form.flag("enforce_nonce")),
        reference=_reference(form),
        nonce=_nonce(form),
    )
    if base is None or "embeds" in body:
        read.embeds = Embeds(named).read(form)
    if base is None or "components" in body:
        read.tree = Reader(problems, named, next_id, emoji).message(form, v2=bool(bits & V2))
    if base is not None:
        _take_over(read, base, body)
        _check_files_shown(form, read)
    _check_v2(form, read)
    problems.settle()
    shown = read.tree if bits & V2 else (read.content or read.embeds or read.files)
    if not shown:
        raise Refusal(400, 50006, "Cannot send an empty message")
    return read


def _form(
    body: Json, keys: frozenset[str], ignored: frozenset[str], problems: Problems, path: Path
) -> Form:
    for name in UNSUPPORTED & body.keys():
        if body[name]:
            raise Unsupported(f"{name} in a message")
    # some libraries send unsupported keys with empty values
    empty = {name for name in CREATE_KEYS - keys if not body.get(name)}
    known = {name: body[name] for name in body if name not in UNSUPPORTED | empty | ignored}
    form = Form(known, problems, path)
    form.only(keys)
    return form


def _may_ping_everyone(message: Message) -> bool:
    channel = message.channel
    if channel.guild is None or not channel.guild.bot_present:
        return True
    granted = channel.permissions_of(message.author)
    return bool(granted & MENTION_EVERYONE)


def _flags(form: Form, wanted: int | None, allowed: int, base: Message | None) -> int:
    if wanted is not None and wanted & ~allowed:
        form.wrong("flags", "BITFIELD_TYPE_INVALID", f"{wanted & ~allowed} cannot be set here.")
    if base is None:
        return wanted or 0
    if wanted is None:
        return base.flags & ~LOADING
    if base.is_v2 and not wanted & V2:
        form.wrong(
            "flags",
            "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG",
            "IS_COMPONENTS_V2 cannot be taken off a message.",
        )
    editable = SUPPRESS_EMBEDS | V2
    return (base.flags & ~LOADING & ~editable) | (wanted & editable)


def _files(
    form: Form,
    uploads: Mapping[int, Attachment],
    base: Message | None,
    descriptions: dict[int, str],
) -> list[Attachment]:
    """Return the files of the resulting message; `descriptions` is filled with new descriptions."""
    existing = {file.id: file for file in base.files} if base is not None else {}
    entries = form.forms("attachments", 10)
    files = [] if "attachments" in form.data else list(existing.values())
    seen: set[int] = set()
    for entry in entries:
        entry.only(ATTACHMENT_KEYS)
        number = entry.snowflake("id", required=True)
        if number is None:
            continue
        file = uploads.get(number) or existing.get(number)
        if file is None or number in seen:
            entry.wrong("id", "ATTACHMENT_NOT_FOUND", f"Attachment {number} is not here (again).")
            continue
        seen.add(number)
        entry.text("filename", 1024, low=1)
        if (description := entry.text("description", 1024)) is not None:
            descriptions[file.id] = description
        files.append(file)
    files += [file for number, file in uploads.items() if number not in seen]
    if len(files) > 10:
        form.wrong("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    return files


def _named(
    form: Form, uploads: Mapping[int, Attachment], files: list[Attachment], *, new: bool
) -> dict[str, Attachment]:
    """Return the files that `attachment://` may name.

    In a new message, these are all uploads. An edit must list a file in `attachments` by id and
    file name, an upload as well as one that stays (docs/internals/discord.md, The stand-in).
    """
    if new:
        return {file.filename: file for file in files}
    entries = [each for each in form.data.get("attachments") or [] if isinstance(each, dict)]
    listed = {as_snowflake(each.get("id")) for each in entries if each.get("filename")}
    given = {file: number for number, file in uploads.items()}
    return {file.filename: file for file in files if given.get(file, file.id) in listed}


def _take_over(draft: Draft, base: Message, body: Json) -> None:
    """Copy every field that the edit does not name."""
    if "content" not in body:
        draft.content = base.content
    if "embeds" not in body:
        draft.embeds = base.stored_embeds
    if "components" not in body:
        draft.tree = base.tree


def _check_files_shown(form: Form, draft: Draft) -> None:
    """Refuse an edit that removes a file which components or embeds still show."""
    shown = [("components", media.attachment) for media in tree.media_of(draft.tree)]
    shown += [("embeds", file) for file in embedded(draft.embeds)]
    for name, file in shown:
        if file is not None and file not in draft.files:
            form.wrong(
                name,
                tree.MISSING_FILE,
                f"Could not find an attachment for attachment://{file.filename}",
            )


def _check_v2(form: Form, draft: Draft) -> None:
    if not draft.flags & V2:
        return
    for name in ("content", "embeds"):
        if getattr(draft, name):
            form.wrong(name, ONLY_V2, f"The '{name}' field cannot be used with IS_COMPONENTS_V2.")


def _nonce(form: Form) -> str | int | None:
    value: Any = form.data.get("nonce")
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return form.text("nonce", 25)


def _reference(form: Form) -> Json | None:
    reference = form.form("message_reference")
    if reference is None:
        return None
    reference.only({"type", "message_id", "channel_id", "guild_id", "fail_if_not_exists"})
    if reference.data.get("type"):
        raise Unsupported("forwarding a message")
    strict = reference.flag("fail_if_not_exists")
    return {
        "message_id": reference.snowflake("message_id", required=True),
        "channel_id": as_snowflake(reference.data.get("channel_id")),
        "strict": strict is not False,
    }


def reply_pings(pings: Pings, message: Message, allowed: Allowed) -> Pings:
    """Add the author of the replied message, if `allowed_mentions` says so.

    A reply to a message of a webhook pings nobody: responses to interactions are such messages
    (docs/internals/discord.md, The stand-in). Nobody pings themselves by a reply.
    """
    replied = message.reference
    if replied is None or not allowed.replied_user or replied.of_webhook:
        return pings
    author = replied.author
    if author is message.author or author.id in pings.users:
        return pings
    return replace(pings, users=(*pings.users, author.id))
