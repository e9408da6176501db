"""Everything that members read: the views of messages, and their wording.

Pure functions from stored rows to components. `wording` holds the sentences, `text` makes a
member's own words harmless, `panel` builds a view and the items that outlive a restart, and
`status`, `result` and `lists` hold the messages themselves. The cogs and cogs/delivery import from
here; nothing here calls the studio or Discord.
"""
