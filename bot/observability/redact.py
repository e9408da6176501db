"""What must not stand in a log, taken out of every line before it is written.

Secrets by their values, interaction tokens by the addresses they stand in, and the prompts that
the task at work has to do with: an API's error may repeat them, and so may a traceback.
"""

import json
import re
from collections.abc import Iterable
from contextvars import ContextVar

# The token is the second part after /webhooks/ and /interactions/ in Discord's addresses; its
# first characters are always the same ("interaction:" in base64).
TOKENS = (
    re.compile(r"(?P<before>/(?:webhooks|interactions)/\d+/)(?!@)[\w.\-]{8,}"),
    re.compile(r"(?P<before>)aW50ZXJhY3Rpb246[\w\-]{8,}"),
)
# A shorter prompt is a common word: to take it out would garble lines that have nothing of it.
SHORTEST = 8  # characters
HEAD = 24  # characters that tell a prompt; the rest may have been cut off

_hidden: ContextVar[tuple[str, ...]] = ContextVar("hidden", default=())


def hide(*texts: str) -> None:
    """Keep these prompts out of the lines of the task at work, from now on."""
    forms = (form for text in texts for form in _forms(text) if len(form) >= SHORTEST)
    _hidden.set((*_hidden.get(), *dict.fromkeys(forms)))


def redact(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    for pattern in TOKENS:
        text = pattern.sub(r"\g<before>[token]", text)
    for prompt in _hidden.get():
        text = _without(text, prompt)
    return text


def _forms(prompt: str) -> set[str]:
    """As it is, on one line, and as the value of a JSON object or of a `repr`."""
    return {
        prompt,
        " ".join(prompt.split()),
        json.dumps(prompt)[1:-1],
        json.dumps(prompt, ensure_ascii=False)[1:-1],
        repr(prompt)[1:-1],
    }


def _without(text: str, prompt: str) -> str:
    """Also a prompt whose end was cut off: as far as the text goes on like it."""
    head = prompt[:HEAD]
    start = text.find(head)
    while start >= 0:
        end = start + len(head)
        while text[end : end + 1] and text[end : end + 1] == prompt[end - start : end - start + 1]:
            end += 1
        text = f"{text[:start]}[prompt]{text[end:]}"
        start = text.find(head, start + len("[prompt]"))
    return text
