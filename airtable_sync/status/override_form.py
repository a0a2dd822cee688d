"""A number's variables, to be set by hand."""

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
    reason = forms.CharField(max_length=300, help_text="Shown beside the pin.")
    hours = forms.ChoiceField(choices=list(HOURS.items()), initial="24", label="Ends in")
    more = forms.CharField(
        required=False,
        label="Further variables",
        help_text="One a line: name = value",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, variables: Mapping[str, str], *, may_see: bool, data: Any = None) -> None:
        """A secret that may not be seen stays what it is."""
        super().__init__(data)
        self._kept = {n: v for n, v in variables.items() if v and not may_see and is_secret(n)}
        for name, value in variables.items():
            if name not in self._kept:
                lines = min(4, value.count("\n") + 1 + len(value) // 60)
                widget = forms.Textarea(attrs={"rows": lines})
                self.fields[f"variable:{name}"] = forms.CharField(
                    label=name, required=False, initial=value, widget=widget, strip=False
                )
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
        own = {
            name.removeprefix("variable:"): text.replace("\r\n", "\n")
            for name, text in self.cleaned_data.items()
            if name.startswith("variable:")
        }
        return {**self._kept, **own, **self.cleaned_data["more"]}

    def why(self) -> tuple[str, datetime]:
        """The reason, and the end."""
        ends_at = timezone.now() + timedelta(hours=int(self.cleaned_data["hours"]))
        return self.cleaned_data["reason"], ends_at
