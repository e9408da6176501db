from decimal import Decimal

from tests.support.easel import Stage, text_of


async def test_usage_tells_what_is_used_held_and_left(at: Stage) -> None:
    async with at.easel(monthly_credits=100):
        await at.imagine("a fox", count=2)
        await at.settled()
        at.oxen.manual = True
        await at.imagine("a hen")
        told = text_of(await at.command("usage"))
        of_ben = text_of(await at.command("usage", by=at.ben))

    assert "Used: **15** credits" in told
    assert "Held for jobs in progress: **7.5** credits" in told
    assert "Left: **77.5** credits" in told
    assert "Pictures: **2** · Jobs: **2**" in told
    assert "Left: **100** credits" in of_ben


async def test_used_is_what_oxen_charged(at: Stage) -> None:
    async with at.easel():
        await at.imagine("a fox", count=3)
        await at.settled()
        told = text_of(await at.command("usage"))

    charged = sum(at.oxen.charges.values(), Decimal(0)) * 100
    assert f"Used: **{charged.normalize():f}** credits" in told
    assert await at.balance() == -charged * 1000
