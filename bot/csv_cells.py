"""Cells of CSV files that people open in a spreadsheet. Pure."""

FORMULA = tuple("=+-@\t\r")  # by which spreadsheets recognise a formula


def harmless(cell: str) -> str:
    """Return a text that no spreadsheet calculates: one that begins as a formula has an apostrophe.

    Numbers are no texts: a negative amount stays as it is.
    """
    return f"'{cell}" if cell.startswith(FORMULA) else cell
