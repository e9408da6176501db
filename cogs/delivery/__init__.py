"""Delivery of results to Discord: bot.delivery's protocol, by discord.py.

A failed post is retried as `fallback` decides (the policy) and `destinations` does (the
mechanism). `lookup` searches for messages of earlier attempts, `errors` classifies the failures.
The cogs import `route`, `attachments` and `uploads` from here; bot.app opens `DiscordDelivery`.
"""
