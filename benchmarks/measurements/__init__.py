"""The parts of `make bench`. Each module has `run(report, rounds, seconds)`: it starts what it
needs with `benchmarks/environment.py` and `server_process.py`, measures, and adds its results to
the report or prints a table. May import all other packages. Start reading at `hits.py`."""
