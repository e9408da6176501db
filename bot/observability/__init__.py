"""Logs, redaction, metrics and the health endpoint.

`logs` and `metrics` may be imported by every package above the domain modules; `endpoint` reads the
database and is imported by bot.app alone.
"""
