"""The mapping: which tables and fields of a base make the config of a called number.

It reads the TOML file, joins linked records, formats cells and normalises phone numbers. May import
`cache`, `redis_client`, `configuration` and `models`. Start reading at `schema.py`, then
`join.py`."""
