"""The page of the demonstration: channels and direct messages as HTML.

The page runs no script and loads nothing, whatever a message contains.
"""
