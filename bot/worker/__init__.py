"""The worker moves jobs: it claims, submits, watches, settles and delivers them."""
