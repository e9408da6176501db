"""The worker: advances every job from `queued` until it is settled and delivered.

`worker` finds the work in the rows and starts a task for each job, by `tasks`. Each module is one
kind of work: `inputs`, `submit`, `poll`, `settle`, `deliver`, `overdue`, `failover`. `recovery`
holds all that happens after a start or an unknown outcome, `housekeeping` the work that no event
announces.
Only bot.app imports from here. Members are reached through the Delivery protocol alone.
"""
