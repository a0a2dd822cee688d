"""Bases with sample data: two small ones in Siftly's layouts, an agency's, and one of any size.

May import from `data` and `common`. Start reading at `bases.py`.
"""
