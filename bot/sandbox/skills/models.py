"""The Qwen Image 2 Pro of skills.video as in the API's document: parameters, sizes, states."""

from collections.abc import Mapping
from typing import Final, Literal

from bot.sandbox.generations import State
from bot.sandbox.imaging import Size
from bot.sandbox.parameters import Addresses, Boolean, Integer, Kind, OneOf, Text

Contract = Literal["old", "new"]

MODEL: Final = "qwen/qwen-image-2-pro"

# The document's own table, in the document's order.
PARAMETERS: Final[Mapping[str, Kind]] = {
    "prompt": Text(),
    "n": Integer(1, 4, default=1),
    "image_urls": Addresses(4),
    "negative_prompt": Text(500, default=""),
    "image_size": OneOf(
        (
            "square_hd",
            "square",
            "portrait_4_3",
            "portrait_16_9",
            "landscape_4_3",
            "landscape_16_9",
        )
    ),
    "aspect_ratio": OneOf(("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"), default="1:1"),
    "enable_prompt_expansion": Boolean(default=True),
    "seed": Integer(0, 2147483647, nullable=True),
    "enable_safety_checker": Boolean(default=True),
    "sync_mode": Boolean(default=False),
    "num_images": Integer(1, 4, default=1),
    "output_format": OneOf(("jpeg", "png", "webp"), default="png"),
}
REQUIRED: Final = ("prompt",)
# Missing on the newer page (docs/internals/apis.md, skills.video: create).
GONE: Final = ("enable_safety_checker", "sync_mode")

SIZES: Final[Mapping[str, Size]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}

WORDS: Final[Mapping[Contract, Mapping[State, str]]] = {
    "old": {
        "queued": "starting",
        "processing": "processing",
        "succeeded": "succeeded",
        "failed": "failed",
        "cancelled": "canceled",
    },
    "new": {
        "queued": "IN_QUEUE",
        "processing": "IN_PROGRESS",
        "succeeded": "COMPLETED",
        "failed": "FAILED",
        "cancelled": "CANCELED",
    },
}


def parameters(*, newer_page: bool) -> Mapping[str, Kind]:
    gone = GONE if newer_page else ()
    return {name: kind for name, kind in PARAMETERS.items() if name not in gone}
