"""`make bench`: starts everything itself and measures. Every figure in the documents comes from
here; machines differ, so ratios are what to look at."""

from benchmarks import hits
from benchmarks.results import CONSOLE, Report


def main() -> None:
    report = Report()
    hits.run(report, 3, 1.0)
    CONSOLE.print(report.table())


if __name__ == "__main__":
    main()
