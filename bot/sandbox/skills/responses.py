"""Response bodies of skills.video in both contracts: errors, generations, credits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from bot.sandbox.generations import Failure, FakeGeneration
from bot.sandbox.http.service import Refusal
from bot.sandbox.skills.models import WORDS, Contract

FAMILY: Final = "IMAGE_GENERATION_"
# The usual HTTP status of each sub-code (docs/internals/apis.md, skills.video: errors).
STATUSES: Final[Mapping[str, int]] = {
    "FAILED": 502,
    "TIMEOUT": 504,
    "RATE_LIMITED": 429,
    "PROVIDER_UNAVAILABLE": 503,
    "UNSUPPORTED_MODEL": 400,
    "INVALID_INPUT": 400,
    "INSUFFICIENT_CREDITS": 402,
    "CONTENT_REJECTED": 422,
}
OTHERS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("UNAUTHORIZED", "Authentication required"),
    404: ("NOT_FOUND", "Resource not found"),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed"),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json"),
    500: ("INTERNAL_ERROR", "Internal server error"),
}
MESSAGES: Final[Mapping[str, str]] = {
    "FAILED": "Generation failed.",
    "RATE_LIMITED": "Rate limit exceeded. Please retry later.",
    "INSUFFICIENT_CREDITS": "Insufficient credits for this generation.",
    "CONTENT_REJECTED": "The content was rejected by moderation.",
}
EXPANSION: Final = "in soft morning light, finely detailed, with a calm background"

CreditsShape = Literal["flat", "data", "balance", "credits", "remaining", "text"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Credits taken from the two buckets."""

    subscription: int = 0
    permanent: int = 0

    @property
    def total(self) -> int:
        return self.subscription + self.permanent

    def to_json(self) -> dict[str, object]:
        return {
            "total": self.total,
            "subscription": self.subscription,
            "permanent": self.permanent,
        }


def error_body(contract: Contract, code: str, message: str) -> dict[str, object]:
    """Return an error body.

    In the newer contract `error` is for old clients and may differ from `code`, as for missing
    credits (docs/internals/apis.md, skills.video: errors).
    """
    if contract == "old":
        return {"error": code, "message": message}
    bare = code.removeprefix(FAMILY)
    legacy = bare if bare == "INSUFFICIENT_CREDITS" else code
    return {"error": legacy, "code": code, "message": message}


def refused(contract: Contract, sub_code: str, message: str = "") -> Refusal:
    text = message or MESSAGES[sub_code]
    return Refusal(STATUSES[sub_code], error_body(contract, FAMILY + sub_code, text))


def plain(contract: Contract, status: int) -> Refusal:
    """Return an error that is not about a generation."""
    return Refusal(status, error_body(contract, *OTHERS[status]))


def failure(sub_code: str, message: str = "") -> Failure:
    """Return the failure of a generation after its creation."""
    return Failure(message or MESSAGES[sub_code], FAMILY + sub_code)


def created(generation: FakeGeneration, contract: Contract, usage: Usage) -> dict[str, object]:
    """Return the answer to a creating request."""
    body: dict[str, object] = {
        "id": generation.id,
        "status": WORDS[contract][generation.status],
        "usage": usage.to_json(),
    }
    if contract == "old":
        return body
    return body | {"input": normalised(generation)} | _reason(generation, contract)


def shown(
    generation: FakeGeneration, contract: Contract, usage: Usage, data: object
) -> dict[str, object]:
    """Return the answer to a poll."""
    return {
        "id": generation.id,
        "status": WORDS[contract][generation.status],
        "input": normalised(generation),
        "data": data,
        "usage": usage.to_json(),
        **_reason(generation, contract),
    }


def normalised(generation: FakeGeneration) -> dict[str, object]:
    """Return the request with the service's defaults filled in."""
    resolution = {}
    if generation.draw_request is not None:
        wide, tall = generation.draw_request.size
        resolution = {"resolution": f"{wide}x{tall}"}
    return {"aspect_ratio": "1:1", **resolution, **generation.body, "n": generation.pictures}


def actual_prompt(generation: FakeGeneration, *, expands: bool) -> object:
    """Return the prompt that was drawn: a longer one, unless the expansion is off."""
    prompt = generation.body["prompt"]
    if not expands or generation.body.get("enable_prompt_expansion") is False:
        return prompt
    return f"{prompt}, {EXPANSION}"


def credits_body(shape: CreditsShape, left: Usage) -> object:
    """Return the balance in one of several likely shapes; the real one is not documented."""
    match shape:
        case "flat":
            return left.to_json()
        case "data":
            return {"data": left.to_json()}
        case "balance" | "credits" | "remaining":
            return {shape: left.total}
        case "text":
            return "plenty"
        case _:
            assert_never(shape)


def _reason(generation: FakeGeneration, contract: Contract) -> dict[str, object]:
    if generation.failure is None:
        return {}
    key = "error" if contract == "old" else "code"
    return {key: generation.failure.code, "message": generation.failure.message}
