"""Workaround: a member has their roles also in a server that the gateway has not sent yet.

Read from discord.py 2.7.1 (pyproject.toml pins the minor version; a test fails when the private
part is gone). `Member.roles` leaves out what is not in the cache of the server, which is empty for
a while after each start. Without roles, a member would have the rights of everybody, and none of
the limits of a role.
"""

import discord


def role_ids_of(user: discord.User | discord.Member) -> frozenset[int]:
    """Return the roles that Discord sent with a member, and that of everybody; else none."""
    if not isinstance(user, discord.Member):
        return frozenset()
    return frozenset({*user._roles, user.guild.id})
