"""The demonstration `easel sandbox`: the real bot runs through steps against the stand-ins.

The command line imports `run`; only tests import more. The demonstration reaches the bot through
a process, through Discord's API and through the database file, as an operator or a member does.
"""
