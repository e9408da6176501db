"""The audit of the ledger and of what the ledger is about: `easel ledger verify`.

- `file`: a SQLite file, the schema with the triggers, the types of all values, gaps in the ids;
- `catalog`: the schema of a PostgreSQL database, references, words, sequences;
- `outcome`: each job's columns against the status, the pictures and the generations;
- `money`: each job's entries against the job, and their amounts against the providers' figures;
- `grants`: entries that a person made, the provider and the granted part of each entry;
- `choices`: the settings and rights that the managers of servers have stored;
- `sums`: the sums of budgets, recomputed from the ledger;
- `verify`: reads page by page, applies these rules, and adds up the accounts.

Values are read as they are in the file, since a manual change may break every enum and every type.
A new kind of entry gets a rule in `money.RULES`.
"""

from bot.store.audit.lines import Finding
from bot.store.audit.verify import Audit, Verification, verify

__all__ = ["Audit", "Finding", "Verification", "verify"]
