"""Every query: the only package that imports SQLAlchemy.

Functions take a connection of `Database.reading()` or a transaction of `Database.transaction()`,
so that the caller decides which reads and writes belong together. The use cases (bot.studio) and
the worker import from here; money and settled states are written by `settlement` alone.
"""
