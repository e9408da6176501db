"""Routes of the soundboard: the sounds that every server has."""

from typing import Final

from bot.sandbox.discord.rest import Call, Reply, Route

DEFAULT_SOUNDS: Final = (("1", "quack", "🦆"), ("2", "airhorn", "🔊"), ("3", "cricket", "🦗"))


def sound_routes() -> list[Route]:
    return [Route("GET", "/soundboard-default-sounds", _default_sounds)]


async def _default_sounds(_: Call) -> Reply:
    shown = [
        {
            "name": name,
            "sound_id": number,
            "volume": 1.0,
            "emoji_id": None,
            "emoji_name": emoji,
            "available": True,
        }
        for number, name, emoji in DEFAULT_SOUNDS
    ]
    return Reply(200, shown)
