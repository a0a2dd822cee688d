"""Measures Siftly: `python -m benchmarks` (`make bench`), and `python -m benchmarks.soak` (`make
soak`) tests it under load and faults. `measurements/` has a module for each part of `make bench`,
`baselines/` what Siftly is compared with. This package may import all others; none imports it
except tests. Start reading at `__main__.py`."""
