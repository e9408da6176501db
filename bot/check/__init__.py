"""`easel check`: everything that a start needs, looked at before it is needed."""
