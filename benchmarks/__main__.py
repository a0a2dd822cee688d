"""`make bench`: starts everything itself and measures. Every figure in the documents comes from
here; machines differ, so ratios are what to look at."""

import argparse

from benchmarks import counting, hits, refresh, storms

WHAT = ["hits", "storms", "counting", "refresh"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("what", nargs="*", choices=WHAT, help="all, unless named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement of hits")
    parser.add_argument("--numbers", type=int, default=50_000, help="of a refresh")
    limited = "of one under the rate limit: ten thousand take a minute"
    parser.add_argument("--limited-numbers", type=int, default=10_000, help=limited)
    options = parser.parse_args()
    what = options.what or WHAT
    if "hits" in what:
        hits.run(options.rounds, options.seconds)
    if "storms" in what:
        storms.run(options.rounds)
    if "counting" in what:
        counting.run(options.rounds)
    if "refresh" in what:
        refresh.run(options.numbers, options.limited_numbers)


if __name__ == "__main__":
    main()
