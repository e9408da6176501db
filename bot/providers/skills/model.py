"""The settings and the model of skills.video, by the table of its document."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from bot.catalog import MAX_COUNT, MAX_INPUTS, MAX_SEED, Choice, Flag, ModelSpec, Text, Whole
from bot.settings import Address, Credits, ProviderSettings


def skills_spec(*, price: int) -> ModelSpec:
    """Return the model with a price in thousandths of a credit, which the API does not report."""
    ratios = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
    sizes = (
        *("square_hd", "square", "portrait_4_3", "portrait_16_9"),
        *("landscape_4_3", "landscape_16_9"),
    )
    return ModelSpec(
        key="skills",
        provider="skills",
        title="Qwen Image 2 Pro at skills.video",
        service="skills.video",
        options={
            "aspect_ratio": Choice(ratios, default="1:1"),
            "image_size": Choice(sizes),
            "count": Whole(1, MAX_COUNT, default=1),
            "negative_prompt": Text(500),
            "seed": Whole(0, MAX_SEED),
            "expand_prompt": Flag(default=True),
            "safety_checker": Flag(default=True),
            "output_format": Choice(("jpeg", "png", "webp"), default="png"),
        },
        max_inputs=MAX_INPUTS,
        price=price,
        cancels=False,
    )


class SkillsSettings(ProviderSettings, env_prefix="SKILLS_"):
    """`price` is in credits per picture: the API reports no list price.

    With a balance under `floor`, in credits, no new job is sent. At most `stream_max` event streams
    are open in one process; `stream` switches them off.
    """

    api_url: Address = "https://open.skills.video/api/v1"
    model: str = "qwen/qwen-image-2-pro"
    price: Credits = Decimal(20)
    floor: Credits | None = None
    stream: Literal["auto", "off"] = "auto"
    stream_max: Annotated[int, Field(ge=1, le=10_000)] = 200
