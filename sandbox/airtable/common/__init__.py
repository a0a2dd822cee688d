"""What all other packages use: errors and their responses, ids, the clock, tokens.

Imports no other package of the sandbox. Start reading at `errors.py`.
"""
