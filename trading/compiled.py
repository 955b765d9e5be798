"""Teach numba `NamedTuple._replace`, so that one source of the rules runs interpreted and compiled.

The rules change a value by naming what changes: `slot._replace(phase=OPEN, lots=lots)`. Python does that by
itself; numba 0.68 lacks the method. Added here through numba's public extension points, in the terms of its own
tuples: every field is a keyword, a keyword left out keeps the field. `rule` marks a function as usable from
compiled code while it stays a plain Python function for everyone else.
"""

import inspect

from numba.core import errors, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, signature
from numba.extending import register_jitable

rule = register_jitable


class _Replace(AbstractTemplate):
    key = "slipway.namedtuple._replace"

    def generic(self, args, kws):
        named = self.this
        unknown = sorted(set(kws) - set(named.fields))
        if args or unknown:
            raise errors.TypingError(f"{named.instance_class.__name__} has no field {unknown}; fields are keywords")
        given = [
            kind if name in kws else types.Omitted(None) for name, kind in zip(named.fields, named.types, strict=True)
        ]
        parameters = [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in named.fields
        ]
        return signature(named, *given, recvr=named).replace(pysig=inspect.Signature(parameters))


@infer_getattr
class _ReplaceAttribute(AttributeTemplate):
    key = types.BaseNamedTuple

    def resolve__replace(self, named):
        return types.BoundFunction(_Replace, named)


@lower_builtin(_Replace.key, types.BaseNamedTuple, types.VarArg(types.Any))
def _lower_replace(context, builder, sig, args):
    replaced = args[0]
    for index, (kind, value) in enumerate(zip(sig.args[1:], args[1:], strict=True)):
        if not isinstance(kind, types.Omitted):
            replaced = builder.insert_value(replaced, value, index)
    return replaced
