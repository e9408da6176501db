"""A bucket that several processes use, that fails, or that refuses."""

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import pytest

from bot.backoff import utc_now
from bot.errors import StartupError
from bot.jobs import Picture
from bot.pictures import PicturesUnavailable, StoreAway, bucket_access, objects
from bot.pictures import bucket as module
from bot.pictures.bucket import BucketStore
from bot.pictures.objects import failure_of
from bot.pictures.store import StoredFile, name_of
from bot.settings import Settings
from tests.support.bucket import SECRET, Bucket, Fault, key_of
from tests.support.files import picture

DAY = timedelta(days=1)
PICTURE = "/[0-9a-f]{2}/[0-9a-f]{64}"  # the path of a picture, and not a list


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> BucketStore:
    return bucket.store(tmp_path)


async def test_a_picture_that_is_stored_during_its_removal_stays(
    bucket: Bucket, store: BucketStore, tmp_path: Path
) -> None:
    """The other process writes after the look at the time, and before the delete."""
    data, loop = picture(), asyncio.get_running_loop()
    made = await store.store(data)
    bucket.age(made, DAY)
    storing: list[Future[Picture]] = []

    def store_again(method: str, _: str) -> None:
        if method != "POST" or storing:  # the delete
            return
        seen = len(bucket.server.requests)
        again = bucket.store(tmp_path).store(data)
        storing.append(asyncio.run_coroutine_threadsafe(again, loop))
        while not any("removing" in path for _, path in bucket.server.requests[seen:]):
            time.sleep(0.01)  # until the object is written and the marks are listed

    bucket.server.before = store_again
    await store.remove(await store.files())
    (done,) = storing
    await asyncio.wrap_future(done)

    assert await store.find(name_of(made)) is not None
    assert list(bucket.keys) == [key_of(made)]  # no mark is left


async def test_a_removal_that_was_killed_delays_a_store_and_ends(
    bucket: Bucket, store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MARK_LIFE", timedelta(seconds=1.5))
    data = picture()
    made = await store.store(data)
    bucket.age(made, DAY)
    began = time.monotonic()
    with bucket.server.failing("POST"), pytest.raises(PicturesUnavailable):
        await store.remove(await store.files())
    assert any(key.startswith("removing/") for key in bucket.keys)

    await store.store(data)
    assert 0.3 < time.monotonic() - began < 20
    for key, held in bucket.keys.items():
        if key.startswith("removing/"):
            held.last_modified -= DAY
    await store.store(data)
    assert await store.read(made) == data
    assert list(bucket.keys) == [key_of(made)]


async def test_a_service_without_conditional_writes_is_used(
    bucket: Bucket, store: BucketStore, caplog: pytest.LogCaptureFixture
) -> None:
    fault = Fault("PUT", "", "501 Not Implemented", "NotImplemented", "HTTP_IF_NONE_MATCH")
    bucket.server.faults.append(fault)
    await store.probe()
    data = picture()
    made, again = await store.store(data), await store.store(data)
    assert made == again
    assert await store.read(made) == data
    assert caplog.text == ""


async def test_a_young_picture_is_not_removed(bucket: Bucket, store: BucketStore) -> None:
    """S3 counts seconds: the same time does not mean that nobody has stored it again."""
    made = await store.store(picture())
    await store.remove(await store.files())
    assert await store.find(name_of(made)) is not None

    bucket.age(made, module.YOUNG + timedelta(seconds=2))
    await store.remove(await store.files())
    assert await store.find(name_of(made)) is None


async def test_a_list_that_is_minutes_old_removes_nothing_newer(
    bucket: Bucket, store: BucketStore
) -> None:
    data = picture()
    made = await store.store(data)
    bucket.age(made, DAY)
    listed = await store.files()
    await store.store(data)
    bucket.age(made, timedelta(minutes=5))

    await store.remove(listed)
    assert await store.find(name_of(made)) is not None


async def lend(store: BucketStore, made: Picture) -> None:
    async with store.local(StoredFile(name_of(made), made.size, utc_now())):
        pass


READS: dict[str, Callable[[BucketStore, Picture], Awaitable[object]]] = {
    "read": lambda store, made: store.read(made),
    "find": lambda store, made: store.find(name_of(made)),
    "lend": lend,
    "list": lambda store, _: store.files(),
    "list one": lambda store, made: store.files(made.sha256),
}
FAILURES = {
    "away": ("503 Service Unavailable", "ServiceUnavailable"),
    "refused": ("403 Forbidden", "AccessDenied"),
    "no bucket": ("404 Not Found", "NoSuchBucket"),
    "expired": ("400 Bad Request", "ExpiredToken"),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_an_error_is_never_taken_for_a_removed_picture(
    bucket: Bucket, store: BucketStore, read: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = await store.store(picture())
    status, code = FAILURES[failure]
    with (
        bucket.server.failing(status=status, code=code),
        pytest.raises(PicturesUnavailable) as caught,
    ):
        await READS[read](store, made)
    assert await store.find(name_of(made)) is not None
    for text in (caught.value.detail, str(caught.value), repr(caught.value), caplog.text):
        assert SECRET not in text
        assert bucket.server.url not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_an_object_that_is_listed_and_not_found_is_no_removed_picture(
    bucket: Bucket, store: BucketStore
) -> None:
    made = await store.store(picture())
    with bucket.server.failing("GET|HEAD", PICTURE, "404 Not Found", "NoSuchKey"):
        with pytest.raises(PicturesUnavailable, match="not possible right now"):
            await store.read(made)
        with pytest.raises(PicturesUnavailable):
            await lend(store, made)


async def test_a_bucket_that_is_away_and_back_is_logged_once(
    bucket: Bucket, store: BucketStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = picture()
    bucket.server.stop()
    for _ in range(2):
        with pytest.raises(PicturesUnavailable, match="not possible right now"):
            await store.store(data)
    bucket.server.start()
    await store.store(data)
    await store.store(data)

    assert caplog.messages == [
        f"stored pictures cannot be used, retrying: {bucket.url} does not answer",
        f"{bucket.url} answers again",
    ]


async def test_a_bucket_that_does_not_answer_is_left_in_time(
    bucket: Bucket, store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await store.store(picture())
    monkeypatch.setattr(objects, "REQUEST_SECONDS", 0.2)
    released = threading.Event()
    bucket.server.before = lambda *_: released.wait(20)
    began = time.monotonic()
    with pytest.raises(PicturesUnavailable):
        await store.find(name_of(made))
    assert time.monotonic() - began < 10
    released.set()


async def test_a_full_disk_lends_nothing(
    store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await store.store(picture())
    monkeypatch.setattr(module, "SPARE_BYTES", 10**18)
    with pytest.raises(PicturesUnavailable) as caught:
        await lend(store, made)
    assert "no space" in caught.value.detail


REFUSALS = {
    "PUT": ("PUT", "", "may not be written to"),
    "list": ("GET", "list-type", "may not be listed"),
    "GET": ("GET", "/probe/[0-9a-f]+$", "may not be read"),
    "POST": ("POST", "delete", "allows no deletes"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_start_names_the_permission_that_is_missing(
    bucket: Bucket, store: BucketStore, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    method, path, event = REFUSALS[refusal]
    with bucket.server.failing(method, path, "403 Forbidden", "AccessDenied"):
        said = await refused(store)
    assert said == (
        f"PICTURES_URL: {bucket.url} {event} (AccessDenied). "
        "Allow the credentials to list the bucket, and to read, write and delete."
    )
    assert caplog.text == ""  # one line is enough


async def test_a_start_leaves_nothing_in_the_bucket(bucket: Bucket, store: BucketStore) -> None:
    await store.probe()
    assert bucket.keys == {}


async def refused(store: BucketStore) -> str:
    with pytest.raises(StartupError) as caught:
        await store.probe()
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "SignatureDoesNotMatch"])
async def test_a_start_names_wrong_credentials(
    bucket: Bucket, store: BucketStore, code: str
) -> None:
    with bucket.server.failing(status="403 Forbidden", code=code):
        said = await refused(store)
    assert f"refuses the credentials ({code})" in said
    assert said.endswith("Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")


async def test_a_start_names_a_bucket_that_is_missing_or_away(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = bucket.store(tmp_path)
    bucket.name = "no-such-bucket"
    said = await refused(bucket.store(tmp_path))
    assert said.endswith(
        "no-such-bucket/the/prefix does not exist. Create the bucket, or correct the setting."
    )

    bucket.server.stop()
    assert "does not answer. Check the network, and AWS_ENDPOINT_URL." in await refused(there)
    bucket.server.start()
    with bucket.server.failing(), pytest.raises(StoreAway, match="ServiceUnavailable"):
        await there.probe()
    with bucket.server.failing(status="301 Moved Permanently", code="PermanentRedirect"):
        assert "(of another region). Check the bucket's region" in await refused(there)


def opened(bucket: Bucket, tmp_path: Path) -> str:
    with pytest.raises(StartupError) as caught:
        bucket.store(tmp_path)
    return str(caught.value)


def test_half_of_the_credentials_and_a_wrong_address_are_named(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    assert opened(bucket, tmp_path).startswith("AWS_ENDPOINT_URL must begin with http://")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.server.url)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "has unusable credentials. Correct AWS_ACCESS_KEY_ID" in opened(bucket, tmp_path)


async def test_a_start_without_credentials_names_them(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library asks for those of the machine's role, of which nobody answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in await refused(
        bucket.store(tmp_path)
    )
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.0)
    assert await refused(bucket.store(tmp_path)) == (
        f"PICTURES_URL: {bucket.url} does not answer, and no credentials are set. "
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or check the network, and "
        "AWS_ENDPOINT_URL."
    )


@pytest.mark.parametrize(
    "text",
    [
        "Error performing PUT http://169.254.169.254/latest/api/token in 3ms",
        "Error performing token request: HTTP error: metadata.google.internal",
    ],
)
def test_no_credentials_at_all_are_known_by_the_error(text: str) -> None:
    assert str(failure_of(Exception(text))) == "needs credentials, and none are set"


def test_a_missing_extra_is_named(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    said = opened(bucket, tmp_path)
    assert said == (
        "PICTURES_URL: s3:// needs the library obstore. Install it: pip install 'easel[cluster]'."
    )


def test_credentials_of_the_file_are_read_and_the_environment_takes_precedence(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("AWS_SESSION_TOKEN=a token\nAWS_REGION=mars-1\nAWS_PROFILE=other\n")
    options = bucket_access.options_of("s3", file)
    assert options["AWS_SESSION_TOKEN"] == "a token"
    assert options["AWS_REGION"] == "us-east-1"
    assert options["AWS_SECRET_ACCESS_KEY"] == SECRET
    assert "AWS_PROFILE" not in options


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/pictures",
        "pictures",
        "/srv/pictures",
        "s3:",
        "s3://",
        "s3:///prefix",
        "s3://bucket:9000/prefix",
        "s3://key:secret@bucket/prefix",
        "s3://bucket/prefix?region=x",
        "s3://bucket/prefix#part",
        "s3://bucket/../prefix",
        "s3://bucket//prefix",
        "s3://bucket name",
        "gs://b",
        "file://host/folder",
        "file://",
        "file:///",
        "file:///srv/../etc",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StartupError) as caught:
        Settings.load(None, {"pictures_url": url})
    assert str(caught.value).startswith("PICTURES_URL: Value error, must ")
    assert str(caught.value).endswith(". Correct it in .env.")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket", "s3://bucket/a/b/", "gs://a.b-c_d/x", "az://container/x", "file:///srv/x"],
)
def test_an_address_is_accepted(url: str) -> None:
    assert Settings.load(None, {"pictures_url": url}).pictures_url == url.rstrip("/")
