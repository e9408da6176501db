"""The sandbox: stand-ins of Discord and of the image APIs, on loopback.

Strict, and independent of the bot: nothing here imports the rest of `bot`, so that a mistake of the
bot fails against the stand-ins. Only the command line and the tests import from here.
"""
