"""Airtable's formula language: parses a formula, compiles it, and evaluates it for a record.

May import only from `common`. It sees a record through the protocol `FormulaRecord`. Start reading
at `compiler.py`.
"""
