"""One source, two ways: the rules are plain Python, and numba can compile the very same functions.

`rule`, `on_records`, `routine` and `story` mark functions as part of that source. They stay ordinary functions, and
importing them costs nothing: numba (0.8 s) is loaded only by `teach_numba`, which whoever compiles calls first.

The rules change a value by naming what changes: `slot._replace(phase=Phase.OPEN, lots=lots)`. numba 0.68 lacks that
method of a NamedTuple; it is added here through numba's public extension points, in the terms of its own tuples:
every field is a keyword, a keyword left out keeps the field, a value takes the field's type.
"""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_waiting: list[tuple[Callable[..., Any], dict[str, bool]]] = []  # what numba has not been told of yet
_taught: list[bool] = []  # one entry once `_replace` is known


def rule(function: F) -> F:
    """`function` itself, usable from compiled code too: numbers and tuples of numbers in, the same out.

    Inlined, since passing a state by value costs more than most rules; and there is nothing to count references of.
    """
    _waiting.append((function, {"forceinline": True, "no_cfunc_wrapper": True, "_nrt": False}))
    return function


def on_records(function: F) -> F:
    """A rule that changes records where they lie: arrays of records and numbers in, numbers out.

    Inlined like a rule; and since it neither makes nor keeps an array, there is nothing to count references of.
    """
    return rule(function)


def routine(function: F) -> F:
    """`function` itself, usable from compiled code too: may change lists and arrays; compiled once, then called."""
    _waiting.append((function, {"no_cfunc_wrapper": True}))
    return function


def story(function: F) -> F:
    """A routine that is called from one place, and is compiled into it: so it knows that its lists don't overlap."""
    _waiting.append((function, {"no_cfunc_wrapper": True, "forceinline": True}))
    return function


def teach_numba() -> None:
    """Make all that is marked so far, and `_replace`, known to numba. Calling it again adds what is new."""
    from numba.extending import register_jitable

    if not _taught:
        _teach_replace()
        _taught.append(True)
    while _waiting:
        function, options = _waiting.pop()
        register_jitable(**options)(function)


def _teach_replace():
    from numba.core import errors, types
    from numba.core.imputils import lower_builtin
    from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, signature

    class Replace(AbstractTemplate):
        key = "slipway.namedtuple._replace"

        def generic(self, args, kws):
            named = self.this
            unknown = sorted(set(kws) - set(named.fields))
            if args or unknown:
                raise errors.TypingError(f"{named.instance_class.__name__} has no field {unknown}; fields are keywords")
            given = [
                kind if name in kws else types.Omitted(None)
                for name, kind in zip(named.fields, named.types, strict=True)
            ]
            parameters = [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in named.fields
            ]
            return signature(named, *given, recvr=named).replace(pysig=inspect.Signature(parameters))

    @infer_getattr
    class ReplaceAttribute(AttributeTemplate):
        key = types.BaseNamedTuple

        def resolve__replace(self, named):
            return types.BoundFunction(Replace, named)

    @lower_builtin(Replace.key, types.BaseNamedTuple, types.VarArg(types.Any))
    def lower_replace(context, builder, sig, args):
        replaced = args[0]
        for index, (kind, value) in enumerate(zip(sig.args[1:], args[1:], strict=True)):
            if not isinstance(kind, types.Omitted):
                replaced = builder.insert_value(replaced, value, index)
        return replaced
