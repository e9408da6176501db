"""A strict stand-in for the image API of Oxen.ai, built from the API's own documents.

Tests and the demonstration import `FakeOxen` from `server`; the other modules are private to
this package.
"""
