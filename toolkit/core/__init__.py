"""The instrumented core: steps 11 to 18 of the book, each of their choices a toggle. Imports numpy alone."""
