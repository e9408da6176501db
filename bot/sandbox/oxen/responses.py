"""Oxen's response bodies: errors in both forms, and rows of the queue and of the history."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from bot.sandbox.generations import FakeGeneration
from bot.sandbox.http.service import Refusal
from bot.sandbox.oxen.models import TARGETS

STATUSES: Final = ("queued", "processing", "succeeded", "failed", "cancelled")
MEDIA_TYPES: Final = ("image", "video")
COUNT_WRONG: Final = "num_generations must be an integer between 1 and 4"
UNSUPPORTED: Final = ":unsupported_media_type"
NO_CREDITS: Final = "Insufficient credits"
EXPANSION: Final = "The scene is lit from the left, and every surface shows its texture."
FLAGGED: Final = "Content flagged for: sexual"
TITLES: Final[Mapping[str, str]] = {
    "unauthenticated": "You must be authenticated to perform this action",
    "invalid_params": "The request parameters are invalid",
    "resource_not_found": "The requested resource could not be found",
    "unknown_error": "An unknown error occurred",
}
ErrorType = Literal["unauthenticated", "invalid_params", "resource_not_found", "unknown_error"]


def typed(status: int, type: ErrorType, detail: str | None = None) -> Refusal:
    """Return an error in the longer of the two forms."""
    error = {"type": type, "title": TITLES[type]}
    if detail is not None:
        error["detail"] = detail
    return Refusal(status, {"error": error, "status": "error", "status_message": type})


def plain(status: int, message: str) -> Refusal:
    """Return an error in the shorter of the two forms."""
    return Refusal(status, {"error": {"message": message}})


def unknown_model(name: object) -> Refusal:
    return plain(404, f"Model not found: {name}")


def queue_row(generation: FakeGeneration, result_url: str | None) -> dict[str, object]:
    """Return a generation as a row of the queue.

    The parameters of the request are at the top level, except those of the queue itself.
    """
    targets = {name: generation.body.get(name) for name in TARGETS}
    parameters = {
        name: value
        for name, value in generation.body.items()
        if name not in ("model", "num_generations", *TARGETS)
    }
    return parameters | {
        "generation_id": generation.id,
        "model_name": generation.model,
        "media_type": "image",
        "status": generation.status,
        "result_url": result_url,
        "error_message": generation.failure.message if generation.failure else None,
        "enqueued_at": int(generation.enqueued_at),
        "started_at": _seconds(generation.started_at),
        "completed_at": _seconds(generation.completed_at),
        **targets,
    }


def revised_prompt(generation: FakeGeneration) -> dict[str, str]:
    """Return the prompt that was drawn, if the model has expanded the request's."""
    prompt = generation.body.get("prompt")
    if generation.status != "succeeded" or generation.body.get("enable_prompt_expansion") is False:
        return {}
    return {"revised_prompt": f"{prompt}. {EXPANSION}"}


def history_row(
    row: dict[str, object], cost: Decimal | None, user: Mapping[str, object]
) -> dict[str, object]:
    """Return a row of the history. `cost` is a decimal string, or null if nothing is charged or
    known yet."""
    return row | {"cost": None if cost is None else str(cost), **user}


def completed(generation: FakeGeneration, url: str | None) -> dict[str, object]:
    """Return the data of a media_generation_completed event."""
    event: dict[str, object] = {
        "generation_id": generation.id,
        "status": generation.status,
        "media_type": "image",
    }
    if generation.failure is not None:
        return event | {"error": generation.failure.message}
    return event | {"model": generation.model, "url": url}


def _seconds(at: float | None) -> int | None:
    return None if at is None else int(at)
