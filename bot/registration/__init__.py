"""The commands that Easel has, those that Discord has, and how the second follow the first.

`commands` builds the payload, `compare` finds the difference, and `task` registers beside the
gateway. `easel check` uses the first two.
"""
