"""A static HTML page that shows channels of the stand-in as Discord's client would.

The demonstration and tests import `write_page` from `render` and `shown_channel`
from `shown`; tests also import `markdown`.
"""
