"""The way from each version of the tables to the next: version_1.py, version_2.py and so on.

Each module here holds

``TABLES``
    the statements that made the tables of that version, as `toolkit.store.schema.TABLES` had them;
``migrate(connection)``
    what turns them into those of the next version, within the transaction that is open. A row whose digest was
    right has the right digest afterwards, and one whose digest was wrong still has a wrong one.

A new version keeps its golden file in ``tests/store/golden``.
"""
