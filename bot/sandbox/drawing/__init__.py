"""Drawings in place of a model's pictures: a scene and a motif by the words of a prompt.

The same seed draws the same picture. The stand-ins of the image APIs and the tests import `draw`.
"""
