"""Which names of variables a platform's agents can use. Each platform has its own rule."""

import re
from dataclasses import dataclass

# Where a platform documents no rule for `{{name}}`: what surely ends or changes the placeholder.
_IN_BRACES = re.compile(r"[^\s{}](?:[^{}]*[^\s{}])?")
_IN_BRACES_TEXT = "no braces, and no blank at either end"


@dataclass(frozen=True)
class NameRule:
    """`text` describes names that fit `pattern` as a whole. `taken` are names that the platform
    fills itself. A variable that breaks the rule is sent all the same: it does no harm."""

    text: str
    pattern: re.Pattern[str]
    taken: frozenset[str] = frozenset()

    def allows(self, name: str) -> bool:
        return name not in self.taken and bool(self.pattern.fullmatch(name))


# AssemblyAI (https://www.assemblyai.com/docs/voice-agents/voice-agent-api/pre-connect-requests) and
# Bland (https://docs.bland.ai/tutorials/dynamic-data) take a value out of the answer by its path.
PATH_RULE = NameRule(
    "no blanks, dots, brackets or quotes, because tools take a value by a path such as "
    "variables.customer_name",
    re.compile(r"""[^\s.\[\]()"'{}]+"""),
)


def placeholder_rule(*taken: str, prefix: str = "") -> NameRule:
    """For a platform that replaces `{{name}}` and documents no rule for names but these, which are
    its own, or those with this prefix."""
    own = ", ".join([*taken, *([f"{prefix}…"] if prefix else [])])
    text = f"{_IN_BRACES_TEXT}; its own are {own}" if own else _IN_BRACES_TEXT
    return NameRule(text, _IN_BRACES, frozenset(taken))
