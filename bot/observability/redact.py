"""Redaction of every log line.

Secrets are found by their values, interaction tokens by the addresses that contain them, and the
prompts of the current task by their text: an API's error or a traceback may repeat a prompt.
"""

import json
import re
from collections.abc import Iterable
from contextvars import ContextVar

# A token is the second part after /webhooks/ and /interactions/ in Discord's addresses, and
# begins with "interaction:" in base64.
TOKENS = (
    re.compile(r"(?P<before>/(?:webhooks|interactions)/\d+/)(?!@)[\w.\-]{8,}"),
    re.compile(r"(?P<before>)aW50ZXJhY3Rpb246[\w\-]{8,}"),
)
# A shorter prompt is a common word, and its removal would garble unrelated lines.
SHORTEST = 8  # characters
HEAD = 24  # characters that identify a prompt; the rest may be cut off

_hidden: ContextVar[tuple[str, ...]] = ContextVar("hidden", default=())


def hide(*texts: str) -> None:
    """Redact these prompts from the lines of the current task, from now on."""
    forms = (form for text in texts for form in _forms(text) if len(form) >= SHORTEST)
    _hidden.set((*_hidden.get(), *dict.fromkeys(forms)))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text with markers in place of secrets, tokens and hidden prompts."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    for pattern in TOKENS:
        text = pattern.sub(r"\g<before>[token]", text)
    for prompt in _hidden.get():
        text = _without(text, prompt)
    return text


def _forms(prompt: str) -> set[str]:
    """Return the forms of a prompt in a log: as typed, on one line, in JSON and in a `repr`."""
    return {
        prompt,
        " ".join(prompt.split()),
        json.dumps(prompt)[1:-1],
        json.dumps(prompt, ensure_ascii=False)[1:-1],
        repr(prompt)[1:-1],
    }


def _without(text: str, prompt: str) -> str:
    """Remove a prompt, also one whose end was cut off."""
    head = prompt[:HEAD]
    start = text.find(head)
    while start >= 0:
        end = start + len(head)
        while text[end : end + 1] and text[end : end + 1] == prompt[end - start : end - start + 1]:
            end += 1
        text = f"{text[:start]}[prompt]{text[end:]}"
        start = text.find(head, start + len("[prompt]"))
    return text
