"""What each environment variable means. `make reference` makes the page of the settings and
.env.example from this list; `siftly/settings.py` reads the variables."""

from typing import NamedTuple


class Setting(NamedTuple):
    name: str
    example: str
    meaning: str  # Markdown, in one line
    default: str


GROUPS: dict[str, list[Setting]] = {
    "Django": [
        Setting(
            "SECRET_KEY",
            "",
            "Django's secret key: long and random. Without it, logins end at each restart",
            "generated",
        ),
        Setting(
            "DEBUG",
            "false",
            "Django's debug mode; never in production",
            "false",
        ),
        Setting(
            "ALLOWED_HOSTS",
            "siftly.example.com",
            "hosts that serve the admin, comma-separated",
            "localhost, the host of `PUBLIC_URL`, Render's host",
        ),
        Setting(
            "PUBLIC_URL",
            "https://siftly.example.com",
            "public address of the service; with `https://` the admin requires TLS",
            "Render's own, otherwise from the request",
        ),
        Setting(
            "DATABASE_URL",
            "postgres://siftly:…@localhost/siftly",
            "`postgres://…` or `sqlite:///…`",
            "SQLite",
        ),
    ],
    "Airtable": [
        Setting(
            "AIRTABLE_API_KEY",
            "pat…",
            "personal access token",
            "none",
        ),
        Setting(
            "AIRTABLE_BASE_ID",
            "app…",
            "the base, `app…`",
            "none",
        ),
        Setting(
            "AIRTABLE_API_URL",
            "https://api.airtable.com",
            "address of the Airtable API",
            "Airtable's own",
        ),
        Setting(
            "AIRTABLE_MAPPING",
            "airtable_sync/mapping/shipped/flat.toml",
            "TOML file that says which tables and fields make a config, or `siftly` or `flat` for "
            "a shipped one. Where it is set, it wins over a mapping saved in the admin",
            "the saved mapping, else `siftly`",
        ),
        Setting(
            "TO_NUMBERS",
            "+32460234291,+32460234292",
            "comma-separated called numbers; if set, only these are served from Airtable",
            "all numbers in the base",
        ),
        Setting(
            "AIRTABLE_PLAN",
            "team",
            "`free`, `team` or `business`: enables the warning before the monthly quota is used up",
            "none",
        ),
        Setting(
            "AIRTABLE_CHANGES",
            "poll",
            "`push`: an edit is live in a second or two, through Airtable's change "
            "notifications. `poll`: the same without a public address, as often as "
            "the monthly quota allows. `off`",
            "off",
        ),
        Setting(
            "AIRTABLE_POLL_SECONDS",
            "60",
            "how often Siftly reads the change feed when no change notification arrives",
            "depends on the plan",
        ),
        Setting(
            "REFRESH_MIN_SHARE",
            "0.6",
            "a refresh is rejected if it has fewer than this share of the last snapshot's numbers",
            "0.6",
        ),
        Setting(
            "REFRESH_MAX_CONFLICT_SHARE",
            "0.1",
            "a refresh is rejected if more than this share of the numbers are in several records",
            "0.1",
        ),
    ],
    "Cache": [
        Setting(
            "REDIS_URL",
            "rediss://default:…@example.upstash.io:6379",
            "`redis://`, `rediss://` (Upstash) or `unix://`; "
            "`?ssl_ca_certs=<file>` trusts your own certificate authority",
            "none: the database's last snapshot is the shared copy, re-read every 30 s",
        ),
        Setting(
            "CACHE_NAMESPACE",
            "staging",
            "keeps two deployments of the same base apart on one Redis; at most 50 "
            "letters, digits, dots, `-` and `_`",
            "none",
        ),
        Setting(
            "CACHE_TTL_SECONDS",
            "10800",
            "how long an entry is fresh",
            "10800 (3 h)",
        ),
        Setting(
            "CACHE_STALE_SECONDS",
            "86400",
            "how long after that it may still be served",
            "86400 (1 day)",
        ),
        Setting(
            "CACHE_NEGATIVE_SECONDS",
            "60",
            "how long an unknown number is cached",
            "60",
        ),
        Setting(
            "REPLICA_MAX_BYTES",
            "268435456",
            "memory limit of a process's replica; above it, the replica keeps only "
            "the numbers that were called",
            "268435456 (256 MiB)",
        ),
    ],
    "Calls": [
        Setting(
            "LOOKUP_DEADLINE_SECONDS",
            "9",
            "longest time that a call may wait for an answer",
            "depends on the platform",
        ),
        Setting(
            "DEFAULT_VARIABLES",
            '{"customer_name": "New Customer"}',
            "JSON object of strings: variables for an unknown number",
            "`{}`",
        ),
    ],
    "Platforms": [
        Setting(
            "RETELL_API_KEY",
            "key_…",
            "key that Retell signs with",
            "none: 404",
        ),
        Setting(
            "ELEVENLABS_WEBHOOK_SECRET",
            "…",
            "secret that ElevenLabs sends in a header",
            "none: 404",
        ),
        Setting(
            "VAPI_WEBHOOK_SECRET",
            "…",
            "secret that Vapi sends or signs with",
            "none: 404",
        ),
        Setting(
            "VAPI_ASSISTANT_ID",
            "…",
            "assistant that answers if the number's setting `agent_id` is empty",
            "none",
        ),
        Setting(
            "TWILIO_AUTH_TOKEN",
            "…",
            "token that Twilio signs with",
            "none: 404",
        ),
        Setting(
            "TWILIO_CONNECT_URL",
            "wss://agent.example.com/ws",
            "the agent's address, `wss://`, if the number's `twilio_connect_url` is empty",
            "none",
        ),
        Setting(
            "PLIVO_AUTH_TOKEN",
            "…",
            "token that Plivo signs with",
            "none: 404",
        ),
        Setting(
            "PLIVO_CONNECT_URL",
            "wss://agent.example.com/ws",
            "the agent's address, `wss://`",
            "none",
        ),
        Setting(
            "SIGNALWIRE_SIGNING_KEY",
            "…",
            "key that SignalWire signs with",
            "none: 404",
        ),
        Setting(
            "SIGNALWIRE_SWML_URL",
            "https://agent.example.com/swml",
            "address of the SWML document that answers if the number's `prompt` is empty",
            "none",
        ),
        Setting(
            "TELNYX_PUBLIC_KEY",
            "…",
            "key that verifies Telnyx' signatures",
            "none: 404",
        ),
        Setting(
            "TELNYX_SIGNING_KEY",
            "…",
            "key with which `place_call` signs in place of Telnyx; `make run` generates a pair",
            "none",
        ),
        Setting(
            "SYNTHFLOW_WEBHOOK_SECRET",
            "…",
            "secret that Synthflow signs with",
            "none: 404",
        ),
        Setting(
            "STANDARD_WEBHOOK_SECRET",
            "whsec_…",
            "secret that your own callers sign with (Standard Webhooks, `whsec_…`)",
            "none: 404",
        ),
        Setting(
            "OPENAI_WEBHOOK_SECRET",
            "whsec_…",
            "secret that OpenAI signs with (`whsec_…`)",
            "none: 404",
        ),
        Setting(
            "OPENAI_API_KEY",
            "sk-…",
            "key with which Siftly accepts OpenAI's calls",
            "none: no call is accepted",
        ),
        Setting(
            "OPENAI_API_URL",
            "https://api.openai.com",
            "address of OpenAI's API",
            "OpenAI's own",
        ),
        Setting(
            "FISHAUDIO_WEBHOOK_SECRET",
            "…",
            "secret that Fish Audio signs with",
            "none: 404",
        ),
        Setting(
            "GENERIC_WEBHOOK_SECRET",
            "…",
            "secret that tools without a signature of their own send",
            "none: 404",
        ),
    ],
    "Monitoring": [
        Setting(
            "METRICS_TOKEN",
            "…",
            "bearer token of `/metrics`: long and random",
            "none: 404",
        ),
        Setting(
            "SENTRY_DSN",
            "https://…@….ingest.sentry.io/1",
            "where to report errors and cron's refreshes, without customer or caller data",
            "none",
        ),
        Setting(
            "ALERT_URLS",
            "mailtos://user:…@smtp.example.com?from=siftly@example.com&to=ops@example.com,slack://…",
            "comma-separated [Apprise addresses](../guides/alerts.md) that alerts "
            "are sent to: e-mail, Slack, Teams, Telegram, SMS, webhooks",
            "none",
        ),
        Setting(
            "EMAIL_URL",
            "smtps://USER:PASSWORD@smtp.example.com?from=siftly@example.com",
            "mail server for password resets, or `smtp://` for STARTTLS; without it the login page "
            "offers no reset",
            "none",
        ),
        Setting(
            "LOG_FORMAT",
            "text",
            "`text` or `json`: one line per event, for the server's own lines too",
            "text",
        ),
        Setting(
            "LOG_LEVEL",
            "INFO",
            "`DEBUG`, `INFO`, `WARNING` or `ERROR`; `DEBUG` only for Siftly's own lines",
            "INFO",
        ),
    ],
    "Server": [
        Setting(
            "PORT",
            "8000",
            "the port, read by gunicorn; if set, it listens on all addresses",
            "8000 on 127.0.0.1",
        ),
        Setting(
            "WEB_CONCURRENCY",
            "2",
            "the number of processes, read by gunicorn",
            "one per core, at least two and at most four",
        ),
    ],
}
