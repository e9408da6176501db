"""Pictures drawn from the words of a prompt, for the stand-ins of the image APIs.

The stand-ins, the demonstration and tests import `draw`; the other modules serve `draw` alone.
"""
