"""The limits once more, by hand: a limit compared with itself would be right at any value.

A limit that is changed on purpose is changed here too, and in the documents that name it.
"""

from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module

import pytest

LIMITS: Mapping[str, Mapping[str, float | timedelta]] = {
    "bot.store.audit.catalog": {
        "CLOCK_ERROR": 3600,
    },
    "bot.store.audit.columns": {
        "LIMIT": 100,
    },
    "bot.store.audit.file": {
        "CLOCK_ERROR": 1 / 24,
    },
    "bot.store.backends": {
        "PERMIT_SECONDS": 300.0,
    },
    "bot.store.database": {
        "WRITE_LOCK_TIMEOUT": 60.0,
        "CLOSE_SECONDS": 5.0,
    },
    "bot.store.database_file": {
        "WAIT_SECONDS": 30.0,
    },
    "bot.store.group_commit": {
        "MOST_BLOCKS": 32,
        "LONGEST": 0.02,
    },
    "bot.store.leases": {
        "LEASE": timedelta(seconds=30),
    },
    "bot.store.ledger": {
        "RESERVED_FOR": timedelta(hours=24),
    },
    "bot.store.postgres": {
        "CONNECT_SECONDS": 5.0,
        "COMMAND_SECONDS": 30.0,
        "ACQUIRE_SECONDS": 5.0,
        "IDLE_SECONDS": 30.0,
    },
    "bot.store.postgres_coordination": {
        "HEARTBEAT": 5.0,
        "TIMEOUT": 5.0,
        "SILENCE": timedelta(seconds=30),
        "RETRY": 2.0,
    },
    "bot.store.postgres_permits": {
        "POLL": 0.5,
    },
    "bot.store.postgres_setup": {
        "OLDEST": 15,
        "SETUP_SECONDS": 60,
    },
    "bot.store.queue": {
        "IN_CHANNEL": 2,
        "BATCH": 25,
    },
    "bot.store.sqlite": {
        "BUSY_SECONDS": 1.5,
        "READERS": 3,
        "CHECKPOINT_SECONDS": 5.0,
        "LONG_LOG": 2000,
        "RESTART_WAIT": 20,
    },
    "bot.service_balances": {
        "FRESH": timedelta(hours=1),
    },
    "bot.worker.balances": {
        "EVERY": timedelta(minutes=5),
        "AGAIN": timedelta(seconds=10),
        "READ_SECONDS": 30.0,
        "EXCHANGE": 2.0,
    },
    "bot.worker.circuits": {
        "EXCHANGE": 2.0,
        "PRICES": timedelta(minutes=1),
    },
    "bot.delivery": {
        "PLACES": 10,
    },
    "bot.worker.deliver": {
        "REPLY_GRACE": timedelta(seconds=15),
        "WRITES": 2,
    },
    "bot.worker.deliveries": {
        "CONCURRENT_DELIVERIES": 32,
        "LISTED": 64,
        "REREAD": timedelta(milliseconds=250),
    },
    "bot.worker.erasing": {
        "SLICE": 25,
        "WAIT": 2.0,
        "RETRY": timedelta(seconds=30),
        "REMOVALS": 4,
        "MOST_STUCK": 500,
    },
    "bot.worker.estimates": {
        "TIMES": 50,
        "TIMES_OF": timedelta(days=30),
        "FEWEST": 10,
        "READ": 100,
        "CACHED": timedelta(minutes=1),
        "CACHED_WITHOUT": timedelta(seconds=2),
    },
    "bot.worker.housekeeping": {
        "INTERVAL": timedelta(seconds=2),
    },
    "bot.worker.inputs": {
        "COPIES_OF_DATA": 4,
        "ROOM_SECONDS": 20.0,
        "READ_SECONDS": 30.0,
        "ADDRESS_MARGIN": timedelta(minutes=10),
    },
    "bot.worker.late_losses": {
        "FIRST": timedelta(minutes=1),
        "LAST": timedelta(hours=1),
        "RETRY": timedelta(minutes=5),
    },
    "bot.worker.leases": {
        "HEARTBEAT": 5.0,
        "SILENCE": 20.0,
        "CLAIM": timedelta(minutes=3),
    },
    "bot.worker.old_prompts": {
        "INTERVAL": 3600.0,
        "RETRY": 60.0,
        "SLICE": 100,
        "PAUSE": 0.1,
        "LONGEST": timedelta(days=2),
    },
    "bot.worker.overdue": {
        "INTERVAL": timedelta(minutes=5),
    },
    "bot.worker.places": {
        "EVERY": timedelta(seconds=30),
        "FIRST": timedelta(seconds=3),
    },
    "bot.worker.poll": {
        "MISSES": 5,
    },
    "bot.worker.poll_queue": {
        "GAP": timedelta(milliseconds=50),
        "POLLS_AT_ONCE": 8,
        "OF_MEMBER": 4,
    },
    "bot.worker.prices": {
        "COSTS": 50,
        "COSTS_OF": timedelta(days=30),
        "MOST": 5,
    },
    "bot.worker.recovery": {
        "WITHOUT_KEY": timedelta(hours=24),
        "QUEUE_TIMEOUT": timedelta(minutes=30),
        "CREATED_WITHIN": timedelta(minutes=3),
        "SHOWN_AGAIN": timedelta(minutes=1),
    },
    "bot.precedence": {
        "LONGEST": 0.1,
    },
    "bot.rest_pace": {
        "RATE": 47,
        "BURST": 1,
        "GIVE_WAY": 2.0,
    },
    "bot.worker.settle": {
        "MAX_PICTURES": 10,
        "COST_TIMEOUT": 5.0,
    },
    "bot.worker.status_edits": {
        "EDITS": 5,
        "PAUSE": timedelta(seconds=30),
    },
    "bot.worker.submit": {
        "MEMBER_SUBMITS": 3,
        "LISTED": 64,
        "REREAD": timedelta(milliseconds=250),
    },
    "bot.worker.tasks": {
        "COOL_DOWN": 5.0,
    },
    "bot.worker.turns": {
        "REMEMBERED": 1000,
    },
    "bot.worker.waiting": {
        "EDITS": 5,
        "PAUSE": timedelta(seconds=30),
        "SLOW_MARGIN": timedelta(seconds=2),
    },
    "bot.worker.worker": {
        "CONCURRENT_DOWNLOADS": 4,
        "BUSY_WAIT": timedelta(milliseconds=200),
    },
    "bot.store.history": {
        "BATCH": 200,
        "BATCHES": 50,
    },
    "bot.studio.credit_reports": {
        "LONGEST": 366,
        "MOST_LINES": 10_000,
    },
    "bot.studio.credits": {
        "LONGEST_REASON": 200,
        "SHOWN_JOBS": 5,
        "COMPLETED_JOBS": 200,
    },
    "bot.studio.history": {
        "PAGE": 5,
        "LONGEST_TEXT": 100,
        "PREPARED_AT_ONCE": 4,
    },
    "bot.studio.erasure": {
        "MOST_ACTIVE": 100,
    },
    "bot.studio.export": {
        "AT_ONCE": 2,
        "COOLDOWN": timedelta(minutes=10),
        "MOST_FILES": 40,
        "SPARE_BYTES": 256 * 1024 * 1024,
    },
    "bot.studio.export.collect": {
        "MOST_LISTED": 10_000,
    },
    "bot.studio.results": {
        "SAME_PICTURE": 25,
        "FIND_TIMEOUT": 1.2,
    },
    "bot.studio.setting_input": {
        "DECIMALS": 3,
        "LONGEST_AMOUNT": 30,
    },
    "bot.studio.tiers": {
        "MOST_SUBJECTS": 300,
    },
    "bot.studio.usage": {
        "DAYS": 30,
    },
    "bot.studio.recipes": {
        "PICTURES": 4,
        "SAME_PICTURE": 25,
        "LOOKUPS_AT_ONCE": 2,
        "LOOKUP_TIMEOUT": 60.0,
    },
    "cogs.ui.recipe": {
        "LONGEST_COMMAND": 2900,
        "TEXTS": 3800,
    },
    "cogs.history": {
        "THUMBNAIL_BYTES": 48 * 1024,
        "THUMBNAIL_SECONDS": 20.0,
        "UPLOAD_SECONDS": 60.0,
    },
    "bot.studio.jobs": {
        "LISTED": 25,
        "SHOWN_AT_ONCE": 2,
    },
    "bot.studio.requests": {
        "WRITE_LOCK_TIMEOUT": 1.0,
    },
    "bot.providers.api_client": {
        "TIMEOUT": 20.0,
        "CONNECT_TIMEOUT": 10.0,
        "LIMIT": 1024 * 1024,
        "DATA_LIMIT": 48 * 1024 * 1024,
        "MOST_VALUES": 50000,
        "ERROR_LIMIT": 64 * 1024,
    },
    "bot.providers.byte_stream": {
        "STREAM_BYTES": 1024 * 1024,
        "STREAM_SECONDS": 10.0,
    },
    "bot.providers.error_mapping": {
        "DETAIL": 300,
    },
    "bot.providers.oxen.provider": {
        "SUBMIT_TIMEOUT": 60.0,
    },
    "bot.providers.oxen.rows": {
        "SKEW": timedelta(seconds=15),
    },
    "bot.providers.oxen.schema": {
        "DEEPEST": 8,
    },
    "bot.providers.parsing": {
        "LONGEST_ID": 200,
        "LONGEST_AMOUNT": 40,
        "LONGEST_WORD": 100,
        "LONGEST_PROMPT": 10_000,
        "MOST_PROMPTS": 4,
    },
    "bot.providers.skills.create": {
        "SUBMIT_TIMEOUT": 60.0,
        "SILENCE": 120.0,
        "PAUSE": 600.0,
    },
    "bot.providers.sse": {
        "LIMIT": 1024 * 1024,
    },
    "bot.pictures.attempts": {
        "MAX_ATTEMPTS": 2,
        "REFUSED_SECONDS": 24 * 60 * 60,
    },
    "bot.pictures.bucket": {
        "AT_ONCE": 8,
        "BATCH": 500,
        "REMOVAL_SECONDS": 20.0,
        "MARK_LIFE": timedelta(seconds=60),
        "MARK_KEEP": timedelta(hours=1),
        "MARK_WAIT": 0.25,
        "YOUNG": timedelta(seconds=30),
        "TRIES": 3,
        "SPARE_BYTES": 64 * 1024 * 1024,
        "PROBE_SECONDS": 15.0,
    },
    "bot.pictures.decoder": {
        "CHECK_SECONDS": 10.0,
        "SHRINK_SECONDS": 30.0,
        "START_SECONDS": 10.0,
        "KILL_SECONDS": 5.0,
        "REUSE_SECONDS": 45.0,
    },
    "bot.pictures.download": {
        "REQUEST_TIMEOUT": 20.0,
        "MAX_REDIRECTS": 5,
        "ATTEMPTS": 3,
        "PICTURE_BYTES": 40 * 1024 * 1024,
        "BYTES_IN_FLIGHT": 96 * 1024 * 1024,
        "SAVED_AT_ONCE": 8,
        "PART": 1024 * 1024,
        "EXPECTED_BYTES": 12 * 1024 * 1024,
    },
    "bot.pictures.files": {
        "LOCK_SECONDS": 30.0,
        "OLD_SECONDS": 3600.0,
    },
    "bot.pictures.header": {
        "MAX_PIXELS": 40000000,
        "MAX_PASSES": 100,
        "MAX_SEGMENTS": 10000,
    },
    "bot.pictures.inputs": {
        "MAX_BYTES": 10 * 1024 * 1024,
        "CHECK_TIMEOUT": 1.2,
        "PLACES": 4,
    },
    "bot.pictures.marks": {
        "PACKET_SHARE": 4,
    },
    "bot.pictures.marks.mark": {
        "MAX_TEXT": 6000,
        "MAX_OPTIONS": 32,
        "MAX_RECIPE": 64 * 1024,
    },
    "bot.pictures.marks.parts": {
        "MAX_PARTS": 50_000,
        "MAX_PACKETS": 8,
        "STEP": 1024 * 1024,
    },
    "bot.pictures.marks.png": {
        "SPARE": 1024,
    },
    "bot.pictures.marks.xmp": {
        "MAX_PACKET": 256 * 1024,
    },
    "bot.pictures.objects": {
        "REQUEST_SECONDS": 20.0,
        "TRANSFER_SECONDS": 60.0,
    },
    "bot.pictures.retention": {
        "MIN_FREE": 1024**3,
        "UNCHARGED_INTERVAL": 5.0,
        "SWEEP_INTERVAL": timedelta(days=1),
        "RETRY_SECONDS": 3600.0,
        "SPARE": 0.01,
        "UNUSED_KEEP": timedelta(days=1),
        "GRACE": timedelta(hours=1),
        "ESTIMATE_AGE": timedelta(hours=1),
    },
    "cogs._notes": {
        "NOTE_SECONDS": 15.0,
        "MOST_NOTES": 100,
        "REMEMBERED": 1000,
        "CLOSE_SECONDS": 2.0,
    },
    "cogs._permissions": {
        "KNOWN_FOR": timedelta(minutes=10),
        "ASKED_AGAIN_AFTER": timedelta(seconds=10),
        "MOST_SERVERS": 1000,
    },
    "cogs._menu_forms": {
        "FORM_LIFE": timedelta(hours=1),
    },
    "cogs._menu_tokens": {
        "REMEMBERED": 1000,
    },
    "cogs.replying": {
        "AT_ONCE": 3,
        "IN_ALL": 100,
    },
    "bot.studio.setting_changes": {
        "ZONES_REACH": timedelta(days=31),
        "MOST_ZONES": 20,
    },
    "bot.worker.events": {
        "DUTY_WAIT": 0.2,
        "SIGN_OF_LIFE": 5.0,
        "STREAM_RETRY": 5.0,
    },
    "bot.worker.watch": {
        "OVERTIME": timedelta(minutes=3),
        "IN_OVERTIME": timedelta(seconds=10),
        "NET": timedelta(seconds=15),
        "JITTER": 0.05,
        "BEFORE_FIRST": 0.8,
    },
    "bot.worker.schedule": {
        "PRICE": 0.33,
        "LEAST": 1.0,
        "MOST": 15.0,
        "FEWEST": 20,
    },
    "bot.worker.durations": {
        "NEWEST": 50,
        "CACHED": timedelta(seconds=10),
    },
    "bot.worker.stream_health": {
        "SILENCE": timedelta(seconds=45),
        "REMEMBERED": 2000,
    },
    "bot.studio.servers": {
        "MOST_SUBJECTS": 300,
        "AUDIT_PAGE": 10,
    },
    "bot.studio.menu": {
        "MAX_FAVOURITES": 1000,
        "MAX_CHILDREN": 10,
        "CHILDREN_READ": 50,
    },
    "bot.store.lineage": {
        "MAX_ANCESTORS": 20,
    },
    "cogs._replies": {
        "REPLY_TIMEOUT": 10.0,
    },
    "cogs.delivery.discord_delivery": {
        "REMEMBERED": 1000,
        "UNKNOWN_SERVER_LIMIT": 10 * 1024 * 1024,
    },
    "cogs.delivery.errors": {
        "OPENING_WAIT": 60.0,
    },
    "cogs.delivery.fallback": {
        "REPLY_AFTER": timedelta(minutes=4),
        "FALL_BACK_AFTER": timedelta(hours=2),
        "ABANDON_AFTER": timedelta(hours=24),
        "NONCE_WINDOW": timedelta(minutes=2),
        "LOOKUP_AFTER": timedelta(minutes=10),
        "WEBHOOK_APPEARS": timedelta(seconds=30),
        "FAILURES_IN_A_ROW": 3,
        "SHORTEST_ROW": timedelta(minutes=4),
        "SMALLEST_LIMIT": 512 * 1024,
    },
    "cogs.delivery.timeouts": {
        "MAX_RATE_LIMIT_WAIT": 30.0,
        "SHOW_TIMEOUT": 5.0,
        "QUERY_TIMEOUT": 10.0,
        "SEND_TIMEOUT": 60.0,
    },
    "cogs.delivery.uploads": {
        "UPLOAD_BYTES": 24 * 1024 * 1024,
    },
    "cogs.ui.lists": {
        "LONGEST_VALUES": 200,
    },
    "cogs.ui.panel": {
        "MAX_CHOICES": 25,
    },
    "cogs.ui.text": {
        "LONGEST_WORD": 100,
        "LONGEST_LIST": 1000,
    },
    "bot.ledger": {
        "CREDIT": 1000,
    },
    "bot.quotas": {
        "MAX_LOSSES": 5,
        "LOSS_WINDOW": timedelta(hours=1),
        "INPUT_BYTES": 400 * 1000 * 1000,
        "INPUT_PERIOD": timedelta(hours=24),
        "WARN_AT": 80,
    },
    "bot.rights": {
        "MOST_CREDITS": 1_000_000_000,
        "MOST_JOBS": 100,
        "MOST_COOLDOWN": 24 * 60 * 60,
    },
    "bot.jobs": {
        "TOKEN_LIFE": timedelta(minutes=15),
        "TOKEN_MARGIN": timedelta(minutes=2),
    },
    "bot.catalog": {
        "MAX_PROMPT": 2000,
        "MAX_SEED": 2147483647,
        "MAX_COUNT": 4,
        "MAX_INPUTS": 4,
    },
    "bot.health": {
        "FAILURES": 3,
        "FAILURES_AFTER_PROBE": 2,
        "LONGEST_PAUSE": timedelta(minutes=5),
    },
    "bot.clock": {
        "TOLERANCE": timedelta(seconds=10),
        "AGAIN": timedelta(seconds=60),
    },
}


@pytest.fixture
def patient_members() -> None:
    """Keep the limit as it is."""


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, found in LIMITS.items() for name in found]
)
def test_a_limit_has_the_value_that_is_meant(module: str, name: str) -> None:
    assert getattr(import_module(module), name) == LIMITS[module][name]
