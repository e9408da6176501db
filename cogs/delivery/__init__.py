"""Delivery of results to Discord: bot.delivery's protocol, by discord.py.

`fallback` and `destinations` are the policy and the mechanism by which a failed post is retried.
`lookup` searches for messages of earlier attempts, `errors` classifies the failures. The cogs
import `route`, `attachments` and `uploads` from here; bot.opening makes the `DiscordDelivery`.
"""
