"""The systemd unit agrees with the program: how it ends, and where it writes."""

from configparser import ConfigParser
from pathlib import Path

from bot.app import DRAIN_SECONDS
from bot.discord_clients import CLOSE_SECONDS

ROOT = Path(__file__).parent.parent


def service() -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None)  # a setting may come twice
    parser.optionxform = str  # type: ignore[assignment]  # systemd tells upper from lower case
    parser.read_string((ROOT / "docs" / "easel.service").read_text())
    return dict(parser["Service"])


def test_systemd_waits_longer_than_easel_drains() -> None:
    assert float(service()["TimeoutStopSec"]) > DRAIN_SECONDS + CLOSE_SECONDS


def test_a_wrong_setting_is_not_tried_again() -> None:
    """Exit code 2, as tests/test_main.py has it."""
    assert service()["Restart"] == "on-failure"
    assert service()["RestartPreventExitStatus"] == "2"


def test_it_works_in_the_one_folder_that_it_may_write_to() -> None:
    unit = service()

    assert unit["ProtectSystem"] == "strict"
    assert unit["WorkingDirectory"] == f"/var/lib/{unit['StateDirectory']}"


def test_it_is_not_root() -> None:
    assert service()["User"] == "easel"
    assert service()["NoNewPrivileges"] == "yes"
    assert service()["CapabilityBoundingSet"] == ""
