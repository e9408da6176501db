"""Loopback servers with faults on request: the common part of the stand-ins.

`service` serves both image APIs, `faults` and `outage` also the stand-in for Discord. Tests
import the kinds of faults.
"""
