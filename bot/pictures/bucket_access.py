"""Access to a bucket: the credentials, the limits of requests, and the words of a failed start."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values

from bot.errors import StartupError
from bot.pictures.objects import Failure, Objects, Problem
from bot.pictures.store import StoreAway
from bot.settings import ENV_FILE, UnreadableFile, check_file

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

# The library reads these from the environment, and many more for roles and metadata services;
# .env is read here.
OPTIONS = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    ),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_ENDPOINT",
    ),
}
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "az": "AZURE_STORAGE_ENDPOINT"}
CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(seconds=30),
}
RETRIES: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    },
}


def open_objects(url: str) -> Objects:
    """Return the objects of a bucket, without a request. StartupError."""
    parts = urlsplit(url)
    options = options_of(parts.scheme)
    client = CLIENT.copy()
    if any(value.startswith("http://") for value in options.values()):  # of an endpoint
        client["allow_http"] = True
    try:
        store = _store(parts.scheme)(
            parts.netloc,
            prefix=unquote(parts.path).strip("/") or None,
            config={name.lower(): value for name, value in options.items()},
            client_options=client,
            retry_config=RETRIES,
        )
    except ImportError:
        raise StartupError(
            f"PICTURES_URL: {parts.scheme}:// needs the library obstore. Install it: "
            "pip install 'easel[cluster]'."
        ) from None
    except Exception:  # of the library, which may hold the credentials
        if not options:
            raise not_usable(url, Failure(Problem.NO_CREDENTIALS)) from None
        raise StartupError(
            f"PICTURES_URL: {url} has unusable credentials. Correct {CREDENTIALS[parts.scheme]}."
        ) from None
    return Objects(store, url, has_credentials=_has_credentials(options))


def not_usable(
    url: str, failure: Failure, refusal: str = "", *, has_credentials: bool = True
) -> StartupError:
    """Return the error of a start: the event, then the remedy. `refusal` is the event of a 403."""
    scheme = urlsplit(url).scheme
    event = str(failure)
    endpoint = f", and {ENDPOINTS[scheme]}" if scheme in ENDPOINTS else ""
    match failure.problem:
        case Problem.NO_BUCKET:
            remedy = "Create the bucket, or correct the setting"
        case Problem.NO_CREDENTIALS:
            remedy = f"Set {CREDENTIALS[scheme]}"
        case Problem.REFUSED if failure.code in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}:
            event = f"refuses the credentials ({failure.code})"
            remedy = f"Correct {CREDENTIALS[scheme]}"
        case Problem.REFUSED:
            event = f"{refusal} ({failure.code})" if failure.code else refusal
            remedy = "Allow the credentials to list the bucket, and to read, write and delete"
        case Problem.AWAY if not has_credentials:  # possibly the service for a machine's role
            event = "does not answer, and no credentials are set"
            remedy = f"Set {CREDENTIALS[scheme]}, or check the network{endpoint}"
        case Problem.AWAY:
            remedy = f"Check the network{endpoint}"
        case Problem.ODD:
            remedy = f"Check the bucket's region{endpoint}"
    is_away = failure.problem is Problem.AWAY and has_credentials
    kind = StoreAway if is_away else StartupError
    return kind(f"PICTURES_URL: {url} {event}. {remedy}.")


def _store(scheme: str) -> "type[Any]":
    from obstore.store import AzureStore, GCSStore, S3Store

    stores: Mapping[str, type[ObjectStore]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    return stores[scheme]


def _has_credentials(options: Mapping[str, str]) -> bool:
    return any(re.search("KEY|TOKEN|GOOGLE", name) for name in options)


def options_of(scheme: str, file: Path = ENV_FILE) -> dict[str, str]:
    """Return the options that are set; the environment takes precedence over the file."""
    try:
        check_file(file)
        found = dotenv_values(file, encoding="utf-8-sig")
    except (OSError, ValueError, UnreadableFile):
        found = {}
    values = {name: os.environ.get(name) or found.get(name) for name in OPTIONS[scheme]}
    for name in values.keys() & set(ENDPOINTS.values()):
        # The library would panic with an address that is none.
        if values[name] and not re.fullmatch(r"https?://[\w.:\[\]-]+(/\S*)?", values[name] or ""):
            raise StartupError(f"{name} must begin with http:// or https://. Correct it.")
    return {name: value for name, value in values.items() if value}
