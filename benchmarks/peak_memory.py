"""`python -m benchmarks.peak_memory COMMAND …`: run a command. The last line of standard error is
its peak memory in MiB and its duration in seconds. A process of its own, because a child's peak
memory is at least its parent's memory when it was forked."""

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
