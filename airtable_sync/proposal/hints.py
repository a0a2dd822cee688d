"""What names say about tables and fields, in English and the languages of Belgium. A hint only
ranks: where it is not enough, a person has to choose."""

import re

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_A_WORD = re.compile(r"[\W_]+")


def _pattern(words: str, parts: str = "") -> re.Pattern[str]:
    """`words` are whole words, `parts` may be within one."""
    return re.compile(rf"\b(?:{words})\b" + (f"|{parts}" if parts else ""))


_TABLE_OF_CALLED = _pattern(
    "lines?|phonelines?|numbers?|dids?|ddis?|trunks?|twilio|telnyx|retell|vapi|lignes?|num[eé]ros?",
    "lijn|nummer|telefoon|hotline|leitung",
)
_TABLE_OF_OTHERS = _pattern(
    "clients?|persons?|people|leads?|users?|staff|team|calls?|logs?|history|orders?|bookings?|"
    "messages?|sms|fournisseurs?",
    "contact|customer|klant|kunde|kontakt|medewerker|personeel|employee|mitarbeiter|supplier|"
    "leverancier|colleague|collega|appointment|afspra|gesprek|oproep|bestelling",
)
_CALLED = _pattern(
    "twilio|telnyx|dids?|ddis?|called|to number|lines?|inbound|voip|sip|trunk|agent number|ligne",
    "lijn|inkomend|hotline|phoneline",
)
_OWN_NUMBER = _pattern(
    "mobile|gsm|cell|cellphone|fax|whatsapp|private|personal|home|work|emergency|owner|manager|"
    "caller|from|forward|transfer|fallback|alternative|backup|sms|portable",
    "contact|doorschakel|priv[eé]|thuis|nood|eigenaar|mobiel|handy",
)
_PHONE = _pattern("tel|mobile|gsm|cell|dids?|ddis?|handy", "phone|telef|t[eé]l[eé]ph|mobiel")
_NUMBER = _pattern("num[eé]ro", "number|nummer")
_IN_USE = _pattern("live|active|actief|actieve|actifs?|aktiv|in use|production|productie|published")
_STATUS = _pattern("status|state|statut|stage|toestand")
_PRIVATE = _pattern(
    "passwords?|passcode|pin|pincode|iban|api key|secret|token|internal|interne?|mot de passe",
    "wachtwoord|passwort|geheim",
)
_KEY = _pattern("key|name|variable|sleutel|naam|variabele|cl[eé]|nom|schl[uü]ssel")
_VALUE = _pattern("value|waarde|valeur|wert")


def words_of(name: str) -> str:
    """In lower case, with a blank between the words."""
    return _NOT_A_WORD.sub(" ", _CAMEL.sub(" ", name)).strip().lower()


def table_score(name: str) -> int:
    words = words_of(name)
    called, others = _TABLE_OF_CALLED.search(words), _TABLE_OF_OTHERS.search(words)
    return 3 * bool(called) - 3 * bool(others)


def number_field_score(name: str) -> int:
    words = words_of(name)
    phone = 2 if _PHONE.search(words) else int(bool(_NUMBER.search(words)))
    return phone + 2 * bool(_CALLED.search(words)) - 2 * bool(_OWN_NUMBER.search(words))


def may_be_own_number(table: str, field: str) -> bool:
    """Whether the numbers may be those of the people in the table, whom nobody calls through us."""
    return table_score(table) < 0 and not _CALLED.search(words_of(field))


def is_phone_name(name: str) -> bool:
    words = words_of(name)
    return any(each.search(words) for each in (_PHONE, _NUMBER, _CALLED))


def means_in_use(name: str) -> bool:
    return bool(_IN_USE.search(words_of(name)))


def is_status(name: str) -> bool:
    return bool(_STATUS.fullmatch(words_of(name)))


def is_private(name: str) -> bool:
    return bool(_PRIVATE.search(words_of(name)))


def is_key(name: str) -> bool:
    return bool(_KEY.fullmatch(words_of(name)))


def is_value(name: str) -> bool:
    return bool(_VALUE.fullmatch(words_of(name)))
