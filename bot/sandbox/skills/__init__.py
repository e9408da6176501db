"""The stand-in for skills.video, in both contracts of its documents.

Import `FakeSkills` from `server`.
"""
