"""Groups of settings that are checked whenever they are set, and show no secrets."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from keepwatch.errors import ConfigError

from ._redact import HIDDEN, redact

__all__ = ["Settings", "group", "setting"]

S = TypeVar("S", bound="Settings")

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


def setting(
    default: Any = dataclasses.MISSING,
    description: str = "",
    *,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    secret: bool = False,
) -> Any:
    """A field with its bounds."""
    metadata = {"description": description, "ge": ge, "le": le, "gt": gt, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata)


def group(cls: Callable[[], Any]) -> Any:
    """A field that is a group of settings itself."""
    return dataclasses.field(default_factory=cls)


class Settings:
    """A group of settings.

    Values are made to fit as texts of environment variables are (``"15"`` is 15, ``"on"`` is
    true), and refused with :class:`keepwatch.errors.ConfigError` when they cannot.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        field = _fields(type(self)).get(name)
        if field is None:
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")
        hint = get_type_hints(type(self))[name]
        try:
            value = _fit(hint, value)
            _check_bounds(field, value)
            value = self.check(name, value)
        except _Misfit as misfit:
            # The value itself may be a secret.
            raise ConfigError(f"{type(self).__name__}.{name}: {misfit}") from None
        object.__setattr__(self, name, value)

    def check(self, name: str, value: Any) -> Any:
        """Refuses values beyond types and bounds; to be overridden."""
        return value

    def model_dump(self) -> dict[str, Any]:
        """All values, secrets too, with groups as dictionaries."""
        values = {}
        for name in _fields(type(self)):
            value = getattr(self, name)
            values[name] = value.model_dump() if isinstance(value, Settings) else value
        return values

    def model_copy(self: S, *, update: Mapping[str, Any] | None = None) -> S:
        """A copy, with some values changed; groups in it are copies too."""
        values = self.model_dump()
        values.update(update or {})
        return type(self)(**values)

    def __repr__(self) -> str:
        parts = [f"{name}={self._shown(name)}" for name in _fields(type(self))]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if value is not None and _fields(type(self))[name].metadata.get("secret"):
            return repr(HIDDEN)
        return repr(redact(value) if isinstance(value, str) else value)


class _Misfit(Exception):
    """Why a value does not fit, without the value."""


def refuse(problem: str) -> _Misfit:
    """For :meth:`Settings.check` to raise."""
    return _Misfit(problem)


def _fields(cls: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(cls)}


def _fit(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (each for each in get_args(hint) if each is not type(None))
        return _fit(inner, value)
    if origin is Literal:
        if value not in get_args(hint):
            raise _Misfit(f"it is none of {', '.join(map(repr, get_args(hint)))}")
        return value
    if origin is tuple:
        return _fit_tuple(get_args(hint), value)
    if isinstance(hint, type) and issubclass(hint, Settings):
        return _fit_group(hint, value)
    fit = {bool: _fit_bool, int: _fit_int, float: _fit_float, str: _fit_str}[hint]
    return fit(value)


def _fit_group(cls: type[Settings], value: Any) -> Settings:
    if isinstance(value, cls):
        return value
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in _fields(cls)]
        if unknown:
            raise _Misfit(f"it has no setting {unknown[0]!r}")
        return cls(**value)
    raise _Misfit(f"it is neither {cls.__name__} nor a mapping")


def _fit_tuple(hints: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = value.strip().removeprefix("[").removesuffix("]").split(",")
    if not isinstance(value, (list, tuple)) or len(value) != len(hints):
        raise _Misfit(f"it is not {len(hints)} values")
    return tuple(_fit(hint, each) for hint, each in zip(hints, value, strict=True))


def _fit_bool(value: Any) -> bool:
    text = str(value).strip().lower()
    if isinstance(value, (bool, int, str)) and text in _TRUE:
        return True
    if isinstance(value, (bool, int, str)) and text in _FALSE:
        return False
    raise _Misfit("it is neither true nor false")


def _fit_int(value: Any) -> int:
    number: int = _number(int, value)
    if isinstance(value, float) and number != value:
        raise _Misfit("it is not a whole number")
    return number


def _fit_float(value: Any) -> float:
    number: float = _number(float, value)
    if not math.isfinite(number):
        raise _Misfit("it is not finite")
    return number


def _number(cls: Callable[[Any], Any], value: Any) -> Any:
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        raise _Misfit("it is not a number")
    try:
        return cls(value)
    except (ValueError, OverflowError):
        raise _Misfit("it is not a number") from None


def _fit_str(value: Any) -> str:
    if not isinstance(value, str):
        raise _Misfit("it is not a text")
    return value


def _check_bounds(field: dataclasses.Field[Any], value: Any) -> None:
    bounds = field.metadata
    if bounds.get("ge") is not None and value < bounds["ge"]:
        raise _Misfit(f"{bounds['ge']} is the least")
    if bounds.get("le") is not None and value > bounds["le"]:
        raise _Misfit(f"{bounds['le']} is the most")
    if bounds.get("gt") is not None and value <= bounds["gt"]:
        raise _Misfit(f"it is more than {bounds['gt']}")
