"""The names of the cache's keys in Redis, and the messages on its channel.

An entry's own `read_at` is when it was read from Airtable. CONFIRMED_AT is about all numbers: until
then Airtable had exactly these. A full refresh moves it, and so does the change feed when it
confirms that nothing changed."""

INDEX = "index"  # sorted set: called number -> sequence of its last change
SEQUENCE = "sequence"  # the number of changes so far
EPOCH = "epoch"  # a random id; another one means that Redis was emptied
KNOWN_NUMBERS = "known_numbers"  # set of the numbers that have a config
CONFIRMED_AT = "confirmed_at"  # ms: when all of Airtable was last read or confirmed unchanged
LAST_REFRESH = "last_refresh"  # JSON [read_at (ms), fingerprint] of the last published refresh
IN_SYNC_UNTIL = "change_feed_in_sync_until"  # ms: how long the change feed's last reading is valid
RECORD_INDEX = "record_index"  # "complete", or anything else while it is made: record_index.py
SET_BYTES = "set_bytes"  # what the entries of the last publication need
PUBLICATION = "publication"  # the token of the publication that is running, or of the last one
PAUSED_BY = "paused_by"  # the run of a rollback; publishing is paused until it is released
REFRESH_LOCK = "refresh_lock"
REFILL_LOCK = "refill_lock"
RESTORED_LOCK = "restored_lock"  # of the process that refreshes after Redis was restored
ALL = (
    INDEX,
    SEQUENCE,
    EPOCH,
    KNOWN_NUMBERS,
    CONFIRMED_AT,
    LAST_REFRESH,
    IN_SYNC_UNTIL,
    RECORD_INDEX,
    SET_BYTES,
    PUBLICATION,
    PAUSED_BY,
    REFRESH_LOCK,
    REFILL_LOCK,
)

CHANNEL = "changes"
# Messages on the channel, beside "<epoch>:<sequence>" after a change:
LOOKUP_FAILED = "lookup-failed:"  # and the numbers, separated by commas
CHANGE_NOTIFIED = "change-notified"  # Airtable says that something was edited
NO_LEADER = "no-leader"  # the process that read the change feed has stopped
COMPARE = "compare"  # compare with the index: this process has loaded a snapshot
MAPPING_SAVED = "mapping-saved"  # a new version of the mapping is in force


def entry_key(number: str) -> str:
    return f"entry:{number}"


def lookup_key(number: str) -> str:
    """The lease of the process that looks this number up."""
    return f"lookup:{number}"
