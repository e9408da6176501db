"""Map the errors of the image APIs, in any mix of formats, to a Reason (apis.md, Tolerance)."""

import re
from collections.abc import Iterator, Sequence

from bot.errors import Reason
from bot.providers.parsing import is_object, objects

DETAIL = 300  # characters of an API's text that are stored
SEARCHED = 2000  # characters of all texts of an error in which patterns are searched

# Error codes that have one meaning, without the family prefix ... (apis.md, skills.video: errors)
CODES = {
    "rate_limited": Reason.RATE_LIMITED,
    "timeout": Reason.TIMEOUT,
    "provider_unavailable": Reason.UNAVAILABLE,
    "unsupported_model": Reason.NOT_FOUND,
    "unsupported_media_type": Reason.INVALID,
    "invalid_input": Reason.INVALID,
    "insufficient_credits": Reason.CREDITS,
    "content_rejected": Reason.REJECTED,
    "content_policy_violation": Reason.REJECTED,
    "unauthenticated": Reason.AUTH,
    "resource_not_found": Reason.NOT_FOUND,
}
STATUSES = {
    401: Reason.AUTH,
    402: Reason.CREDITS,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    429: Reason.RATE_LIMITED,
    503: Reason.UNAVAILABLE,
    504: Reason.TIMEOUT,
}
# ... and those with many meanings: the text beside them decides first.
VAGUE_CODES = {"invalid_params": Reason.INVALID}
OWN = ("error", "code", "status_message")  # of the APIs' own errors (apis.md, Oxen: errors)
VAGUE_STATUSES = {403: Reason.AUTH}
INPUT = re.compile(  # an input picture that the service could not download
    r"(failed to|cannot|can't|could not|unable to) (be )?(download|fetch|load|identify)"
    r"|client error: .* for url|invalid image format",
    re.IGNORECASE,
)
TEXTS: Sequence[tuple[Reason, re.Pattern[str]]] = tuple(
    (reason, re.compile(pattern, re.IGNORECASE))
    for reason, pattern in (
        (
            Reason.CREDITS,
            r"(insufficient|not enough|out of) (credit|fund|balance)|payment required",
        ),
        (
            Reason.REJECTED,  # in the wording of every service (apis.md, The model: moderation)
            r"moderat|flagged|inappropriate|nsfw|data_?inspection_?failed|green net check"
            r"|(content|safety|usage) polic|safety (system|filter)|content rejected"
            r"|(sensitive|prohibited|unsafe) content",
        ),
        (Reason.INPUT, INPUT.pattern),
        (Reason.RATE_LIMITED, r"rate limit|too many requests"),
        (Reason.NOT_FOUND, r"unsupported model|model not found"),
        (Reason.AUTH, r"unauthenticated|unauthorized|api key"),
        (Reason.TIMEOUT, r"timed out|time-?out"),
        (Reason.UNAVAILABLE, r"unavailable|overloaded|try again later"),
        (
            Reason.INVALID,
            r"invalid|must be|validation|unsupported|not supported|required"
            r"|unknown (parameter|field)|client error",
        ),
    )
)


def error_texts(body: object) -> list[str]:
    """Return the texts of an error, the most specific first (apis.md, Oxen: errors)."""
    if isinstance(body, str):
        return [body] if body.strip() else []
    if not is_object(body):
        return []
    error = body.get("error")
    inner = error if is_object(error) else {}
    found = [inner.get(name) for name in ("detail", "message", "title")]
    found += [body.get("message"), body.get("detail"), error]
    found += [body.get(name) for name in ("error_message", "title", "status_message")]
    return list(dict.fromkeys(text for each in found for text in _texts(each)))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    for each in objects(value):  # {loc, msg, type} (apis.md, The model: validation errors)
        if isinstance(message := each.get("msg"), str) and message.strip():
            yield message


def error_codes(body: object) -> list[str]:
    """Return the codes of an error in lower case, the newer `code` first, as others may differ."""
    if not is_object(body):
        return []
    error = body.get("error")
    inner = error if is_object(error) else {}
    found = [body.get("code"), inner.get("code"), inner.get("type"), error, body.get("type")]
    found.append(body.get("status_message"))
    codes = (
        each.strip(" :").lower() for each in found if isinstance(each, str) and len(each) < 100
    )
    return [code for code in codes if re.fullmatch(r"[a-z0-9_.-]{1,80}", code)]


def has_error(body: object) -> bool:
    """Return whether an answer has an error in any of the APIs' formats."""
    return is_object(body) and any(body.get(name) for name in (*OWN, "message", "detail"))


def has_own_error(body: object) -> bool:
    """Return whether an error is surely the API's own: a proxy sends `message` at most."""
    return is_object(body) and any(body.get(name) for name in OWN)


def classify(body: object, status: int | None = None) -> Reason:
    """Return the reason by code, then by HTTP status, then by text (apis.md, Tolerance)."""
    codes = error_codes(body)
    # Cut before any pattern: some take time by the square of the length.
    words = "\n".join(text[:SEARCHED] for text in error_texts(body)[:10])[:SEARCHED]
    for code in codes:
        for known, reason in CODES.items():
            if code == known or code.endswith(f"_{known}"):
                unfetched = reason is Reason.INVALID and INPUT.search(words)
                return Reason.INPUT if unfetched else reason
    if status in STATUSES:
        return STATUSES[status]
    if isinstance(body, str) and (status or 0) >= 500:
        return _by_class(status)  # a proxy's page, whose text says nothing about the error
    for reason, pattern in TEXTS:
        if pattern.search(words):
            return reason
    vague = next((VAGUE_CODES[code] for code in codes if code in VAGUE_CODES), None)
    return vague or _by_class(status)


def _by_class(status: int | None) -> Reason:
    if status is None:
        return Reason.UNKNOWN
    if status in VAGUE_STATUSES:
        return VAGUE_STATUSES[status]
    if 400 <= status < 500:
        return Reason.INVALID
    return Reason.UNAVAILABLE if status >= 500 else Reason.UNKNOWN


def detail_of(body: object) -> str:
    """Return the code and the start of the text of an error, for `Api.safe`."""
    codes, texts = error_codes(body), error_texts(body)
    words = texts[0][:SEARCHED] if texts else ""
    repeated = bool(codes) and codes[0] == words.strip(" :").lower()
    return ": ".join(filter(None, [*codes[:1], words])) if not repeated else words


def one_line(text: str) -> str:
    """Return at most DETAIL characters without line breaks, markup and unprintable characters."""
    text = re.sub(r"<[^<>]{0,500}>", " ", text[: DETAIL * 20])
    text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= DETAIL else f"{text[: DETAIL - 1]}…"
