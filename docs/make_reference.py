"""`make reference`: writes the reference pages that are made from the code, and .env.example."""

import os
import re
import sys
from argparse import SUPPRESS, Action, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airtable_sync.monitoring.export.totals import Totals

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs/reference"
ENV_EXAMPLE = ROOT / ".env.example"
MADE = "<!-- made by `make reference` -->"


def set_up_django() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("SECRET_KEY", "only for the reference, which has no secret")
    os.environ.update(ENV_FILE=os.devnull, DJANGO_SETTINGS_MODULE="siftly.settings")
    import django  # noqa: PLC0415 - after the environment is set

    django.setup()


def pages() -> dict[Path, str]:
    """The files and what they should contain."""
    http, metrics = REFERENCE / "http.md", REFERENCE / "metrics.md"
    return {
        REFERENCE / "settings.md": _settings_page(),
        REFERENCE / "commands.md": _commands_page(),
        http: with_table(http.read_text(encoding="utf-8"), _platform_table()),
        metrics: with_table(metrics.read_text(encoding="utf-8"), _metrics_table()),
        ENV_EXAMPLE: _env_example(),
    }


def with_table(page: str, table: str) -> str:
    """The page with this table between its two marks."""
    return re.sub(rf"({MADE}\n).*?(<!-- end -->)", lambda m: m[1] + table + m[2], page, flags=re.S)


def _settings_page() -> str:
    from siftly.setting_descriptions import GROUPS  # noqa: PLC0415 - after the set-up

    parts = [
        "# Settings",
        MADE,
        (
            "Each setting is an environment variable, or a line in the file `.env`. An empty value counts as not set.\n"
            "`manage.py check` reports everything that is missing or wrong, all at once "
            "([the messages](checks.md)). The server does\nthe same when it starts."
        ),
        (
            "`none: 404` means: without it, this address answers 404. Several secrets of a platform, separated by "
            "commas, are all\naccepted."
        ),
    ]
    for title, settings in GROUPS.items():
        rows = [f"| `{each.name}` | {each.meaning} | {each.default} |" for each in settings]
        header = "| variable | meaning | default |\n|---|---|---|\n"
        parts += [f"## {title}", header + "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _env_example() -> str:
    from siftly.setting_descriptions import GROUPS  # noqa: PLC0415 - after the set-up

    text = (
        "# For development: copy this file to .env. In production, set these variables on the hosting platform.\n"
        "# docs/reference/settings.md explains each variable. A variable that is not set has a default. `make run`\n"
        "# starts a stand-in on this machine for each service that is not set. Made by `make reference`.\n"
    )
    for settings in GROUPS.values():
        text += "\n" + "".join(f"# {each.name}={each.example}\n" for each in settings)
    return text


def _commands_page() -> str:
    from django.core.management import (  # noqa: PLC0415 - after the set-up
        get_commands,
        load_command_class,
    )

    parts = [
        "# Commands",
        MADE,
        (
            "Run them as `.venv/bin/python manage.py COMMAND`; on Render in the web service's *Shell*, as "
            "`python manage.py COMMAND`.\nDjango's own commands, such as `migrate` and `createsuperuser`, and "
            "Django's general options are described in\n[its documentation]"
            "(https://docs.djangoproject.com/en/5.2/ref/django-admin/)."
        ),
    ]
    own = ("airtable_sync", "webhooks", "siftly")
    for name, app in sorted(get_commands().items()):
        if app in own:
            parts.append(_command_section(name, load_command_class(app, name)))
    return "\n\n".join(parts) + "\n"


def _command_section(name: str, command: object) -> str:
    from django.core.management.base import BaseCommand  # noqa: PLC0415 - after the set-up

    assert isinstance(command, BaseCommand)
    general = {each.dest for each in BaseCommand().create_parser("", "")._actions}
    actions = command.create_parser("manage.py", name)._actions
    rows = [
        row
        for each in actions
        if each.dest not in general and each.help != SUPPRESS
        for row in _rows(each)
    ]
    table = "| argument | meaning |\n|---|---|\n" + "\n".join(rows)
    return f"## {name}\n\n{command.help}" + (f"\n\n{table}" if rows else "")


def _rows(action: Action) -> list[str]:
    """One for an argument; one for each word where a command has several."""
    if not isinstance(action, _SubParsersAction):
        return [f"| {_usage(action)} | {_meaning(action)} |"]
    rows = []
    for word in action._choices_actions:  # those with a help text: the others are not for people
        arguments = [each for each in action.choices[word.dest]._actions if each.dest != "help"]
        usage = " ".join([word.dest, *(each.metavar or f"[{_option(each)}]" for each in arguments)])
        notes = [f"`{_option(each)}`: {each.help}" for each in arguments if each.help]
        rows.append(f"| `{usage}` | {'; '.join([word.help or '', *notes])} |")
    return rows


def _usage(action: Action) -> str:
    if not action.option_strings and action.choices:
        return ", ".join(f"`{each}`" for each in action.choices)
    return f"`{_option(action)}`"


def _option(action: Action) -> str:
    value = action.metavar or action.dest.upper()
    if not action.option_strings:
        return str(value)
    name = action.option_strings[-1]
    if action.nargs == 0:
        return name
    return f"{name} [{value}]" if action.nargs == "?" else f"{name} {value}"


def _meaning(action: Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default))
    if action.choices and action.option_strings:
        text += (": " if text else "one of ") + ", ".join(f"`{each}`" for each in action.choices)
    return text.replace("|", "\\|")


def _platform_table() -> str:
    from webhooks.platforms import PLATFORM_CLASSES  # noqa: PLC0415 - after the set-up

    rows = [
        f"| `/webhooks/{each.name}/` | {', '.join(each.methods)} | `{each.secrets_setting}` | "
        f"{each.deadline_seconds:g} s |\n"
        for each in PLATFORM_CLASSES
    ]
    return "| address | methods | secret | waits at most |\n|---|---|---|---|\n" + "".join(rows)


def _metrics_table() -> str:
    """Made from the export itself, with an example of everything that it can show."""
    from airtable_sync.changes.polling import Polling  # noqa: PLC0415 - after the set-up
    from airtable_sync.monitoring.export.prometheus import metrics_of  # noqa: PLC0415
    from airtable_sync.redis_client.server_info import ServerInfo  # noqa: PLC0415

    info = ServerInfo(used_bytes=1, max_bytes=1, evicted_keys=1)
    totals = _example_totals()
    polling = Polling("poll", "team", None, lambda: totals.usage)
    rows = [
        f"| `{each.name}{'_total' if each.type == 'counter' else ''}` | {each.type} | "
        f"{', '.join(f'`{name}`' for name in getattr(each, '_labelnames', ()))} | "
        f"{each.documentation} |\n"
        for each in metrics_of(totals, info, polling, "team")
    ]
    return "| metric | type | labels | meaning |\n|---|---|---|---|\n" + "".join(rows)


def _example_totals() -> "Totals":
    from airtable_sync.airtable.limits.monthly_usage import MonthlyUsage  # noqa: PLC0415
    from airtable_sync.monitoring.export.refresh_results import RefreshResult  # noqa: PLC0415
    from airtable_sync.monitoring.export.totals import Totals  # noqa: PLC0415
    from airtable_sync.monitoring.metrics.counts import Counts  # noqa: PLC0415

    return Totals(
        counts=Counts(),
        usage=MonthlyUsage("2026-11", requests=1, forecast=1),
        index_entries=1,
        numbers=1,
        confirmed_at=1.0,
        unknown_numbers=1,
        processes=[],
        last_runs={"published": RefreshResult("published", 1.0, 1.0)},
    )


def main() -> None:
    set_up_django()
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
