"""The instrumented core: steps 11 to 18 of the book, with each of their choices as a toggle. Imports numpy alone."""
