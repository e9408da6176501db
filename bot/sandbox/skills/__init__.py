"""A strict stand-in for the image API of skills.video, in both versions of the contract.

Tests and the demonstration import `FakeSkills` from `server`; the other modules are private to
this package.
"""
