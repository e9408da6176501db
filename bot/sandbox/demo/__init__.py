"""`easel sandbox`: a demonstration of the whole bot between the stand-ins.

`run` is the entry point; `steps` holds the actions of members and the expected results. Only the
command line imports from here, and tests that need the bot as a process.
"""
