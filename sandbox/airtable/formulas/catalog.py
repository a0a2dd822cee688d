"""All formula functions, and those that Airtable has and the sandbox lacks."""

from sandbox.airtable.formulas.date_functions import DATES
from sandbox.airtable.formulas.functions import Functions
from sandbox.airtable.formulas.logic_functions import LOGIC
from sandbox.airtable.formulas.number_functions import NUMBERS
from sandbox.airtable.formulas.text_functions import TEXT

FUNCTIONS = Functions(LOGIC | NUMBERS | TEXT | DATES)
UNSUPPORTED = frozenset(
    [
        "ARRAYCOMPACT",
        "ARRAYFLATTEN",
        "ARRAYSLICE",
        "ARRAYUNIQUE",
        "AVERAGE",
        "CEILING",
        "COUNT",
        "COUNTALL",
        "DATETIME_FORMAT",
        "DAY",
        "EVEN",
        "EXP",
        "FLOOR",
        "FROMNOW",
        "HOUR",
        "LOG",
        "MINUTE",
        "MONTH",
        "ODD",
        "POWER",
        "ROUNDDOWN",
        "ROUNDUP",
        "SECOND",
        "SET_LOCALE",
        "SET_TIMEZONE",
        "SQRT",
        "TIMESTR",
        "TONOW",
        "WEEKDAY",
        "WEEKNUM",
        "WORKDAY",
        "WORKDAY_DIFF",
        "YEAR",
    ]
)
