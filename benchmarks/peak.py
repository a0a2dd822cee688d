"""`python -m benchmarks.peak COMMAND …` runs it, and ends standard error with its peak memory in
MiB and the seconds it took. A process of its own, since a child's peak begins with its parent's."""

import resource
import subprocess
import sys
import time

if __name__ == "__main__":
    started = time.monotonic()
    ended = subprocess.run(sys.argv[1:], check=False)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak //= 1024 * 1024 if sys.platform == "darwin" else 1024
    print(f"\n{peak} {seconds:.2f}", file=sys.stderr)
    sys.exit(ended.returncode)
