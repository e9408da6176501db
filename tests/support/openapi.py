"""Discord's own OpenAPI description as an oracle, if EASEL_DISCORD_OPENAPI names the file.

The file is not part of the project; without it, the tests use the stand-in's rules only.
"""

import json
import os
import re
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

SMALLEST_SNOWFLAKE = 10**15
VARIABLE = re.compile(r"\{\w+\}")


class Description:
    """A checker of request bodies; `checked` counts bodies by method and path."""

    def __init__(self, path: Path) -> None:
        self._document: dict[str, Any] = json.loads(path.read_text())
        resource = DRAFT202012.create_resource(self._document)
        self._registry: Registry[Any] = Registry().with_resource("urn:discord", resource)
        self._pointers = dict(self._bodies())
        rules = {name: partial(self._alternatives, name) for name in ("oneOf", "anyOf")}
        self._validator = extend(Draft202012Validator, rules)  # type: ignore[no-untyped-call]
        self._validators: dict[tuple[str, str], Any] = {}
        self._valid: set[bytes] = set()  # digests: the same commands come at every start
        self.checked: dict[tuple[str, str], int] = {}

    def check(self, method: str, path: str, body: object) -> None:
        """Raise AssertionError if Discord would refuse this body. Unknown routes are ignored."""
        key = (method.lower(), VARIABLE.sub("{}", path))
        if key not in self._pointers:
            return
        if key not in self._validators:
            schema = {"$ref": f"urn:discord#{self._pointers[key]}"}
            self._validators[key] = self._validator(schema, registry=self._registry)
        self.checked[key] = self.checked.get(key, 0) + 1
        digest = sha256(json.dumps([key, body]).encode()).digest()
        if digest in self._valid:
            return
        error = best_match(self._validators[key].iter_errors(_normal(body)))
        assert error is None, f"{method} {path}: {error.json_path}: {error.message}"
        self._valid.add(digest)

    def _alternatives(
        self,
        name: str,
        validator: Any,  # noqa: ANN401  # jsonschema's own
        variants: list[dict[str, Any]],
        instance: object,
        schema: object,
    ) -> Any:  # noqa: ANN401
        """Try only the variants whose type may be that of the instance.

        Half of the time would be spent on components and options of the other types.
        """
        chosen = [each for each in variants if self._may_be(each, instance)]
        rule = Draft202012Validator.VALIDATORS[name]
        return rule(validator, chosen or variants, instance, schema)

    def _may_be(self, variant: dict[str, Any], instance: object) -> bool:
        if "const" in variant:
            return bool(variant["const"] == instance)
        place, _, name = variant.get("$ref", "").rpartition("/")
        if place == "#/components/schemas" and isinstance(instance, dict) and "type" in instance:
            described = self._document["components"]["schemas"][name]
            kind = described.get("properties", {}).get("type", {})
            return "enum" not in kind or instance["type"] in kind["enum"]
        return True

    def _bodies(self) -> Any:  # noqa: ANN401  # pairs of a key and a JSON pointer
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                if not isinstance(operation, dict) or "requestBody" not in operation:
                    continue
                if "application/json" not in operation["requestBody"]["content"]:
                    continue
                escaped = path.replace("~", "~0").replace("/", "~1")
                pointer = f"/paths/{escaped}/{method}/requestBody/content/application~1json/schema"
                yield (method, VARIABLE.sub("{}", path)), pointer


def _normal(body: object, key: str = "") -> object:
    """Convert ids from numbers, as in discord.py, to strings. Discord accepts both."""
    if isinstance(body, list):
        return [_normal(each, key) for each in body]
    if isinstance(body, dict):
        attached = key == "attachments"
        return {
            name: str(value) if attached and name == "id" else _normal(value, name)
            for name, value in body.items()
        }
    is_snowflake = isinstance(body, int) and body > SMALLEST_SNOWFLAKE
    return str(body) if is_snowflake else body


@cache
def description() -> Description | None:
    path = os.environ.get("EASEL_DISCORD_OPENAPI")
    return Description(Path(path)) if path else None
