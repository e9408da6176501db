"""Logs, redaction, metrics and the health endpoint.

`logs` and `metrics` may be imported by every package above the domain modules; `health_report`
and `health_server` read the database and are imported by bot.app alone.
"""
