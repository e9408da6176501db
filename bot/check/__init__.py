"""`easel check`: tests everything that a start needs, before the start.

Only the command line imports this package, and only for that command, except for `spelling`, which
every start runs.
"""
