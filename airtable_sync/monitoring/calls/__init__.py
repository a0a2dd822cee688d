"""The calls: the answer log and the unknown numbers that were called.

A call only appends to a queue (`recorder.py`); a background task writes it to Redis. May import
`metrics`. Start reading at `recorder.py`, then `answer_log.py`."""
