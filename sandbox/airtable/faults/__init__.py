"""What makes a request fail: programmed faults, the rate limit, the monthly quota.

May import only from `common`. Start reading at `fault.py`.
"""
