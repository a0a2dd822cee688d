"""Bases, tables, records, cells and links in memory, and the changes that each transaction makes.

May import from `formulas` and `common`. A base passes each finished transaction to the listeners
that were added to it. Start reading at `bases.py` and `tables.py`.
"""
