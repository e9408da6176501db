"""What is said about a bucket's failures, and which settings reach it."""

from pathlib import Path

import pytest

from bot.errors import StartupError
from bot.pictures import StoreAway, bucket_access, open_store
from bot.pictures.bucket import BucketStore
from bot.pictures.bucket_access import not_usable, open_objects, options_of
from bot.pictures.files import FileStore
from bot.pictures.objects import Failure, Problem, failure_of
from bot.settings import Settings
from tests.support.bucket import Bucket

KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
AZURE_KEYS = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"


class PermissionDeniedError(Exception):
    """An error with the name that the library gives to one of its own."""


class UnauthenticatedError(Exception):
    """An error with the name that the library gives to one of its own."""


def answered(status: int, code: str = "") -> str:
    body = f"<Error><Code>{code}</Code></Error>" if code else ""
    return f"Server returned non-2xx status code: {status} Oops: {body}"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Exception(answered(503, "SlowDown")), Failure(Problem.AWAY, "SlowDown")),
        (Exception(answered(500)), Failure(Problem.AWAY, "500")),
        (Exception(answered(400, "ExpiredToken")), Failure(Problem.ODD, "ExpiredToken")),
        (Exception(answered(405)), Failure(Problem.ODD, "405")),
        (Exception(answered(501, "NotImplemented")), Failure(Problem.ODD, "NotImplemented")),
        (Exception(answered(401)), Failure(Problem.REFUSED, "401")),
        (Exception(answered(403, "AccessDenied")), Failure(Problem.REFUSED, "AccessDenied")),
        (PermissionDeniedError("no"), Failure(Problem.REFUSED)),
        (UnauthenticatedError("no"), Failure(Problem.REFUSED)),
        (Exception(answered(404, "NoSuchBucket")), Failure(Problem.NO_BUCKET)),
        (FileNotFoundError(answered(404, "ContainerNotFound")), Failure(Problem.NO_BUCKET)),
        (FileNotFoundError(answered(404, "NoSuchKey")), Failure(Problem.ODD, "NoSuchKey")),
        (TimeoutError(), Failure(Problem.AWAY)),
        (TimeoutError(110, "Connection timed out"), Failure(Problem.AWAY)),
        (OSError(28, "No space left on device"), Failure(Problem.ODD, "No space left on device")),
        (OSError("error sending request for url"), Failure(Problem.AWAY)),
        (Exception("error sending request for url"), Failure(Problem.AWAY)),
        (Exception("operation timed out"), Failure(Problem.AWAY)),
        (Exception("incorrectly configured region"), Failure(Problem.ODD, "of another region")),
        (Exception("GET http://169.254.169.254/x"), Failure(Problem.NO_CREDENTIALS)),
        (ValueError("https://a.example/?sig=secret"), Failure(Problem.ODD, "ValueError")),
    ],
    ids=range(21),
)
def test_a_failure_is_known_by_its_status_its_code_or_its_words(
    error: Exception, failure: Failure
) -> None:
    assert failure_of(error) == failure


def test_a_failure_is_a_sentence_with_its_code() -> None:
    assert str(Failure(Problem.AWAY)) == "does not answer"
    assert str(Failure(Problem.REFUSED, "403")) == "refuses the request (403)"


PERMISSIONS = "Allow the credentials to list the bucket, and to read, write and delete."


@pytest.mark.parametrize(
    ("url", "failure", "text"),
    [
        (
            "s3://b",
            Failure(Problem.NO_BUCKET),
            "does not exist. Create the bucket, or correct the setting.",
        ),
        (
            "gs://b",
            Failure(Problem.NO_CREDENTIALS),
            "needs credentials, and none are set. Set GOOGLE_SERVICE_ACCOUNT.",
        ),
        (
            "s3://b",
            Failure(Problem.REFUSED, "InvalidAccessKeyId"),
            f"refuses the credentials (InvalidAccessKeyId). Correct {KEYS}.",
        ),
        (
            "az://b",
            Failure(Problem.REFUSED, "SignatureDoesNotMatch"),
            f"refuses the credentials (SignatureDoesNotMatch). Correct {AZURE_KEYS}.",
        ),
        ("s3://b", Failure(Problem.REFUSED, "403"), f"may not be read (403). {PERMISSIONS}"),
        ("s3://b", Failure(Problem.REFUSED), f"may not be read. {PERMISSIONS}"),
        (
            "s3://b",
            Failure(Problem.AWAY, "SlowDown"),
            "does not answer (SlowDown). Check the network, and AWS_ENDPOINT_URL.",
        ),
        (
            "az://b",
            Failure(Problem.AWAY),
            "does not answer. Check the network, and AZURE_STORAGE_ENDPOINT.",
        ),
        ("gs://b", Failure(Problem.AWAY), "does not answer. Check the network."),
        (
            "s3://b",
            Failure(Problem.ODD, "301"),
            "answers with an error (301). Check the bucket's region, and AWS_ENDPOINT_URL.",
        ),
        ("gs://b", Failure(Problem.ODD), "answers with an error. Check the bucket's region."),
    ],
    ids=range(11),
)
def test_a_start_names_the_event_and_the_remedy(url: str, failure: Failure, text: str) -> None:
    error = not_usable(url, failure, "may not be read")

    assert str(error) == f"PICTURES_URL: {url} {text}"
    assert isinstance(error, StoreAway) is (failure.problem is Problem.AWAY)


def test_without_credentials_a_silent_bucket_ends_the_start() -> None:
    error = not_usable("gs://b", Failure(Problem.AWAY), has_credentials=False)

    assert not isinstance(error, StoreAway)
    assert str(error) == (
        "PICTURES_URL: gs://b does not answer, and no credentials are set. "
        "Set GOOGLE_SERVICE_ACCOUNT, or check the network."
    )


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the path of a file of settings; no variable is set."""
    for names in bucket_access.OPTIONS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_a_setting_is_that_of_the_environment_or_of_the_file(
    no_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_settings.write_text(
        "\ufeffAWS_REGION=of-the-file\nAWS_SESSION_TOKEN=token\nAWS_ACCESS_KEY_ID=\nOTHER=1\n"
    )
    monkeypatch.setenv("AWS_REGION", "of-the-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "of-another-service")

    assert options_of("s3", no_settings) == {
        "AWS_REGION": "of-the-environment",
        "AWS_SESSION_TOKEN": "token",
    }
    assert options_of("gs", no_settings) == {"GOOGLE_SERVICE_ACCOUNT": "of-another-service"}


@pytest.mark.parametrize("content", [None, b"AWS_REGION=\xff\xfe", b"AWS_REGION=x\0"])
def test_a_file_that_cannot_be_read_has_no_settings(
    no_settings: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        no_settings.write_bytes(content)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")

    assert options_of("s3", no_settings).pop("AWS_SESSION_TOKEN") == "token"


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        ("http://minio:9000", True),
        ("https://s3.example.com", True),
        ("https://s3.example.com/a/b?c", True),
        ("http://[::1]:9000/", True),
        ("minio:9000", False),
        ("ftp://minio", False),
        ("http://", False),
        ("http://mi nio", False),
        ("http://minio/a b", False),
    ],
)
@pytest.mark.parametrize(
    ("scheme", "name"), [("s3", "AWS_ENDPOINT_URL"), ("az", "AZURE_STORAGE_ENDPOINT")]
)
def test_an_endpoint_is_an_address(
    scheme: str,
    name: str,
    value: str,
    is_accepted: bool,
    no_settings: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    if is_accepted:
        assert options_of(scheme, no_settings) == {name: value}
        return
    with pytest.raises(StartupError) as caught:
        options_of(scheme, no_settings)
    assert str(caught.value) == f"{name} must begin with http:// or https://. Correct it."


def test_no_bucket_without_credentials_but_those_of_a_role(
    monkeypatch: pytest.MonkeyPatch, no_settings: Path
) -> None:
    monkeypatch.chdir(no_settings.parent)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert not open_objects("s3://bucket").has_credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    with pytest.raises(StartupError) as half:
        open_objects("s3://bucket")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
    assert open_objects("s3://bucket").has_credentials
    with pytest.raises(StartupError) as none:
        open_objects("az://container")

    assert str(half.value) == f"PICTURES_URL: s3://bucket has unusable credentials. Correct {KEYS}."
    assert str(none.value) == (
        f"PICTURES_URL: az://container needs credentials, and none are set. Set {AZURE_KEYS}."
    )


async def test_the_prefix_is_the_path_of_the_address(bucket: Bucket) -> None:
    for name, path in (("1", ""), ("2", "/"), ("3", "/a%20b/c/")):
        await open_objects(f"s3://{bucket.name}{path}").write(name, b"")

    assert sorted(bucket.keys) == ["1", "2", "a b/c/3"]


@pytest.mark.parametrize(
    ("url", "database", "kind", "folder", "shared"),
    [
        (None, "sqlite:///{}/a/easel.db", FileStore, "{}/a/pictures", False),
        ("file://{}/b%20c", "sqlite:///{}/a/easel.db", FileStore, "{}/b c", False),
        ("file://{}/b", "postgresql://u@h/d", FileStore, "{}/b", True),
        ("s3://bucket", "sqlite:///{}/a/easel.db", BucketStore, "{}/a/staging", True),
        ("s3://bucket", "postgresql://u@h/d", BucketStore, "data/staging", True),
    ],
)
async def test_the_store_is_that_of_the_settings(
    url: str | None,
    database: str,
    kind: type,
    folder: str,
    shared: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"pictures_url": url and url.format(tmp_path)}
    settings["database_url"] = database.format(tmp_path)
    store = open_store(Settings.load(None, settings))
    place = Path(folder.format(tmp_path))

    assert (type(store), store.disk, store.shared) == (kind, place, shared)
    async with store.attempts.count("one"):
        assert (place / "attempts" / "one").exists()


def test_several_machines_have_no_folder_by_default() -> None:
    settings = Settings.load(None, {"pictures_url": None, "database_url": "postgresql://u@h/d"})
    with pytest.raises(StartupError, match=r"PICTURES_URL is not set\. Set it to a bucket"):
        open_store(settings)
