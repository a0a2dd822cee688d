"""The form that overrides a number's variables."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from airtable_sync.status.display.masking import is_secret

HOURS = {
    "1": "1 hour",
    "4": "4 hours",
    "24": "1 day",
    "72": "3 days",
    "168": "1 week",
    "720": "30 days",
}


class OverrideForm(forms.Form):
    reason = forms.CharField(max_length=300, help_text="The status page shows it.")
    hours = forms.ChoiceField(choices=list(HOURS.items()), initial="24", label="Ends in")
    more = forms.CharField(
        required=False,
        label="More variables",
        help_text="One per line: name = value",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, variables: Mapping[str, str], *, may_see: bool, data: Any = None) -> None:
        """Secrets that the user may not see have no field, and keep their values."""
        super().__init__(data)
        self._sent = data or {}
        self._kept = {n: v for n, v in variables.items() if v and not may_see and is_secret(n)}
        for name, value in variables.items():
            if name not in self._kept:
                self.fields[f"variable:{name}"] = _variable_field(name, value)
        last = ("more", "reason", "hours")
        self.order_fields([*(name for name in self.fields if name not in last), *last])

    def clean_more(self) -> dict[str, str]:
        found = {}
        for line in self.cleaned_data["more"].splitlines():
            name, separator, value = line.partition("=")
            if line.strip() and not (separator and name.strip()):
                raise forms.ValidationError(f"“{line[:40]}” has no name or no =.")
            if line.strip():
                found[name.strip()] = value.strip()
        return found

    def variables(self) -> dict[str, str]:
        """Of a valid form."""
        own = {
            name.removeprefix("variable:"): text.replace("\r\n", "\n")
            for name, text in self.cleaned_data.items()
            if name.startswith("variable:")
        }
        return {**self._kept, **own, **self.cleaned_data["more"]}

    def sent_values(self) -> dict[str, str]:
        """What the user sent, to send it once more."""
        return {name: self._sent[name] for name in self.fields if name in self._sent}

    def ends_at(self) -> datetime:
        """Of a valid form."""
        return timezone.now() + timedelta(hours=int(self.cleaned_data["hours"]))


def _variable_field(name: str, value: str) -> forms.CharField:
    lines = min(4, value.count("\n") + 1 + len(value) // 60)
    widget = forms.Textarea(attrs={"rows": lines})
    return forms.CharField(label=name, required=False, initial=value, widget=widget, strip=False)
