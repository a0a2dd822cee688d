"""Mistakes that pydantic's own rules can't find, told together with those that it finds."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import ModelWrapValidatorHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

Mistake = tuple[str, str]  # a word, and what is wrong with it
Model = TypeVar("Model")


def with_more_mistakes(
    data: Any,
    check: ModelWrapValidatorHandler[Model],
    find: Callable[[dict[str, Any]], Iterable[Mistake]],
) -> Model:
    """For a validator of the mode "wrap". Raises ValidationError with all mistakes."""
    more = list(find(data)) if isinstance(data, dict) else []
    details = [
        InitErrorDetails(type=PydanticCustomError("word", what), loc=(word,), input=data)
        for word, what in more
    ]
    try:
        checked = check(data)
    except ValidationError as error:
        raise ValidationError.from_exception_data(
            error.title, [*_details(error), *details]
        ) from None
    if details:
        raise ValidationError.from_exception_data("", details)
    return checked


def _details(error: ValidationError) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(
            type=each["type"], loc=each["loc"], input=each["input"], ctx=each.get("ctx", {})
        )
        if each["type"] != "word"
        else InitErrorDetails(
            type=PydanticCustomError("word", each["msg"]),
            loc=each["loc"],
            input=each["input"],
        )
        for each in error.errors(include_url=False)
    ]
