from tests.easel import Stage, text_of


async def test_jobs_lists_what_is_under_way_and_what_has_ended(at: Stage) -> None:
    async with at.easel():
        assert "no jobs yet" in text_of(await at.command("jobs"))
        await at.imagine("a done fox")
        result = await at.result("done fox")
        await at.settled()
        at.oxen.manual = True
        waiting = await at.imagine("a [slow](https://example.com) hen")
        await at.said("Drawing")
        await at.imagine("of Ben", by=at.ben)
        listed = text_of(await at.command("jobs"))

    assert listed.index("Drawing") < listed.index("Done")
    assert r"a \[slow\]\(https\://example\.com\) hen" in listed
    assert waiting.message is not None
    for message in (waiting.message, result):
        link = f"https://discord.com/channels/{at.server.id}/{at.channel.id}/{message.id}"
        assert link in listed
    assert "of Ben" not in listed


async def test_fifty_jobs_fit_into_one_answer(at: Stage) -> None:
    at.oxen.manual = True
    async with at.easel():
        for number in range(50):
            await at.imagine(f"{number} " + "*" * 500)
        listed = text_of(await at.command("jobs"))

    assert len(listed) < 4000
    assert "more" in listed


async def test_models_tells_what_oxen_tells_itself(at: Stage) -> None:
    async with at.easel():
        listed = text_of(await at.command("models"))

    assert "`model:oxen`" in listed
    assert "7.5 credits a picture" in listed
    assert "1:1, **16:9**, 9:16, 4:3, 3:4, 3:2, 2:3, 2:1, 1:2" in listed


async def test_help_names_every_command(at: Stage) -> None:
    async with at.easel():
        told = text_of(await at.command("help"))
        names = [command["name"] for command in at.discord.commands]

    assert names
    assert all(f"`/{name}`" in told for name in names)
