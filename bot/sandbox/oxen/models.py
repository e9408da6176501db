"""Oxen's models as in Oxen's documents: the table of parameters, and the model objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal, assert_never

from bot.sandbox.parameters import Address, Addresses, Boolean, Integer, Kind, OneOf, Text

Pictures: Final = Address | Addresses
SchemaKey = Literal["json_request_schema", "request_schema"]

RATIOS: Final = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2")

# The document's own table (Request parameters of "Qwen Image 2.0 Pro").
PARAMETERS: Final[Mapping[str, Kind]] = {
    "prompt": Text(),
    "input_image": Address(),
    "match_input_image": Boolean(default=False),
    "aspect_ratio": OneOf(RATIOS, default="16:9"),
    "enable_prompt_expansion": Boolean(default=True),
    "negative_prompt": Text(default=""),
    "seed": Integer(0, 2147483647),
}
REQUIRED: Final = ("prompt",)
DESCRIPTIONS: Final[Mapping[str, str]] = {
    "prompt": "Text prompt for image generation or editing",
    "input_image": (
        "Optional reference image for image editing, style transfer, or image-to-image generation"
    ),
    "match_input_image": (
        "When true and an image is provided, use the input image's aspect ratio and resolution "
        "instead of the aspect_ratio parameter"
    ),
    "aspect_ratio": "Aspect ratio of the generated image",
    "enable_prompt_expansion": "Automatically expand and optimize the prompt for better results",
    "negative_prompt": "Negative prompt to specify elements to avoid in the generated image",
    "seed": "Random seed for reproducible generation",
}

# Parameters of the API, not of the model (docs/internals/apis.md, Oxen: queue).
RESPONSE_FORMAT: Final = OneOf(("url", "b64_json"), default="url")
TARGETS: Final = ("target_namespace", "target_repo", "target_directory")


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    name: str
    summary: str
    output: Literal["image", "video", "text"]
    endpoint: str


QWEN: Final = Model(
    "qwen-image-2",
    "Qwen Image 2.0 Pro",
    "Text-and-image to image generation",
    "image",
    "/images/generate",
)
OTHERS: Final = (
    Model(
        "kling-video-o3-pro-reference-to-video",
        "Kling Video O3 Pro",
        "Reference to video generation",
        "video",
        "/videos/generate",
    ),
    Model("qwen-3-8b", "Qwen 3 8B", "Chat completions", "text", "/chat/completions"),
)


def models(qwen_id: str) -> dict[str, Model]:
    """Return all models by id; the one that draws has the id `qwen_id`."""
    return {model.id: model for model in (replace(QWEN, id=qwen_id), *OTHERS)}


def describe(
    model: Model,
    price: Decimal,
    schema_key: SchemaKey,
    parameters: Mapping[str, Kind],
    required: Sequence[str],
) -> dict[str, object]:
    """Return a model object (docs/internals/apis.md, Oxen: models)."""
    is_image = model.output == "image"
    return {
        "id": model.id,
        "object": "model",
        "created": 1773100800,
        "owned_by": "oxen",
        "display_name": model.name,
        "description": model.summary,
        "summary": model.summary,
        "model_type": "base",
        "endpoint": model.endpoint,
        "capabilities": {
            "input": ["text"] if model.output == "text" else ["text", "image"],
            "output": [model.output],
        },
        "pricing": _pricing(model, price),
        "deployments": [],
        "developer": {"name": "Qwen" if is_image else "Other", "logo": None},
        "source_model": None,
        "image_url": None,
        "released_at": None,
        schema_key: _schema(parameters, required) if is_image else None,
    }


def _pricing(model: Model, price: Decimal) -> dict[str, object]:
    match model.output:
        case "image":
            return {"method": "per_image", "cost_per_image": float(price)}
        case "video":
            return {"method": "per_video_output_second", "cost_per_second": 0.112}
        case "text":
            return {
                "method": "token",
                "input_cost_per_token": 3e-06,
                "output_cost_per_token": 1.5e-05,
            }
        case _:
            assert_never(model.output)


def _schema(parameters: Mapping[str, Kind], required: Sequence[str]) -> dict[str, object]:
    properties = {
        name: {
            **_property(kind),
            "title": name.replace("_", " ").title(),
            "description": DESCRIPTIONS.get(name, ""),
            "x-order": order,
        }
        for order, (name, kind) in enumerate(parameters.items())
    }
    return {
        "type": "object",
        "title": "Input",
        "required": list(required),
        "basic": [name for name, kind in parameters.items() if isinstance(kind, Pictures)],
        "properties": properties,
    }


def _property(kind: Kind) -> dict[str, object]:
    match kind:
        case Text(longest, default):
            stated = {"maxLength": longest, "default": default}
            return {"type": "string"} | {
                name: each for name, each in stated.items() if each is not None
            }
        case Integer(minimum, maximum):
            return {"type": "integer", "minimum": minimum, "maximum": maximum}
        case Boolean(default):
            return {"type": "boolean", "default": default}
        case OneOf(values, default):
            return {"type": "string", "enum": list(values), "default": default}
        case Address():
            return {"type": "string", "format": "uri"}
        case Addresses(most):
            return {"type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": most}
        case _:
            assert_never(kind)
