"""Read JSON bodies of requests, and refuse wrong ones with the errors of the real API."""

from collections.abc import Collection
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]


class Refusal(Exception):
    """An error response: status, `{"code", "message"}` and, for code 50035, the nested `errors`."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(f"{status} {code} {message} {errors or ''}".strip())
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def body(self) -> Json:
        body: Json = {"message": self.message, "code": self.code}
        if self.errors:
            body["errors"] = self.errors
        return body


class Unsupported(Exception):
    """A feature of the real Discord that the stand-in lacks.

    The response is 501 and a violation is recorded, so that no test passes by accident.
    """


class Problems:
    """All errors of one body, by path."""

    def __init__(self) -> None:
        self.found: Json = {}

    def add(self, path: Path, code: str, message: str) -> None:
        node = self.found
        for key in path:
            node = node.setdefault(str(key), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def settle(self) -> None:
        """Raise the collected errors as one refusal, if there are any."""
        if self.found:
            raise Refusal(400, 50035, "Invalid Form Body", self.found)


def invalid(path: Path, code: str, message: str) -> Refusal:
    """Return the refusal of a body for one reason."""
    problems = Problems()
    problems.add(path, code, message)
    return Refusal(400, 50035, "Invalid Form Body", problems.found)


class Form:
    """A JSON object of a body.

    Each reading method records an error and returns None (or nothing), so that one refusal reports
    all errors of a body. `null` counts as not given.
    """

    def __init__(self, data: Json, problems: Problems, path: Path = ()) -> None:
        self.data = data
        self.problems = problems
        self.path = path

    def wrong(self, name: str | int | None, code: str, message: str) -> None:
        self.problems.add(self.path if name is None else (*self.path, name), code, message)

    def only(self, names: Collection[str]) -> None:
        """Refuse keys that the API does not know, although Discord ignores them.

        Some libraries send every key that they know, null where a caller gave none.
        """
        for key, value in self.data.items():
            if key not in names and value is not None:
                self.wrong(key, "UNKNOWN_KEY", "This key is not known here.")

    def has(self, name: str) -> bool:
        return self.data.get(name) is not None

    def _value(self, name: str, required: bool) -> Any:  # noqa: ANN401 - JSON as it came
        value = self.data.get(name)
        if value is None and required:
            self.wrong(name, "BASE_TYPE_REQUIRED", "This field is required")
        return value

    def text(self, name: str, high: int, *, low: int = 0, required: bool = False) -> str | None:
        value = self._value(name, required)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(name, "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
            return None
        if not low <= len(value) <= high:
            if low:
                self.wrong(
                    name, "BASE_TYPE_BAD_LENGTH", f"Must be between {low} and {high} in length."
                )
            else:
                self.wrong(name, "BASE_TYPE_MAX_LENGTH", f"Must be {high} or fewer in length.")
            return None
        return value

    def whole(self, name: str, low: int, high: int, *, required: bool = False) -> int | None:
        value = self._value(name, required)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(name, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
            return None
        if value < low:
            self.wrong(
                name, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {low}."
            )
            return None
        if value > high:
            self.wrong(
                name, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {high}."
            )
            return None
        return value

    def number(self, name: str, *, required: bool = False) -> float | None:
        value = self._value(name, required)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.wrong(name, "NUMBER_TYPE_COERCE", f'Value "{value}" is not float.')
            return None
        return value

    def flag(self, name: str) -> bool | None:
        value = self.data.get(name)
        if value is not None and not isinstance(value, bool):
            self.wrong(name, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
            return None
        return value

    def choice(self, name: str, choices: Collection[int], *, required: bool = False) -> int | None:
        value = self._value(name, required)
        if value is None:
            return None
        if isinstance(value, bool) or value not in choices:
            allowed = ", ".join(str(choice) for choice in sorted(choices))
            self.wrong(name, "BASE_TYPE_CHOICES", f"Value must be one of {{{allowed}}}.")
            return None
        return int(value)

    def snowflake(self, name: str, *, required: bool = False) -> int | None:
        value = self._value(name, required)
        if value is None:
            return None
        found = as_snowflake(value)
        if found is None:
            self.wrong(name, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
        return found

    def items(self, name: str, high: int, *, low: int = 0, required: bool = False) -> list[Any]:
        value = self._value(name, required)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        if not low <= len(value) <= high:
            code = "BASE_TYPE_BAD_LENGTH" if low else "BASE_TYPE_MAX_LENGTH"
            words = f"between {low} and {high}" if low else f"{high} or fewer"
            self.wrong(name, code, f"Must be {words} in length.")
        return value

    def forms(self, name: str, high: int, *, low: int = 0, required: bool = False) -> list["Form"]:
        found = []
        for index, item in enumerate(self.items(name, high, low=low, required=required)):
            path = (*self.path, name, index)
            if isinstance(item, dict):
                found.append(Form(item, self.problems, path))
            else:
                self.problems.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used here")
        return found

    def form(self, name: str, *, required: bool = False) -> "Form | None":
        value = self._value(name, required)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(name, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            return None
        return Form(value, self.problems, (*self.path, name))


def as_snowflake(value: object) -> int | None:
    """Return an id as an int, from digits or, as some libraries send ids, from a number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 1 << 64 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return None
