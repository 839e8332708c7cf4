"""Compiles YANG modules to a Schema: pyang reads and checks them, this module keeps what a datastore needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pyang.context import Context
from pyang.error import err_level, err_to_str, is_error
from pyang.repository import FileRepository

from simulators.datastore.leaftypes import (
    BinaryType,
    BitsType,
    DecimalType,
    EmptyType,
    EnumerationType,
    IntegerType,
    Intervals,
    LeafType,
    StringType,
    UnionType,
    ipv6,
    python_pattern,
)
from simulators.datastore.schema import Kind, ModuleInfo, Must, Node, Schema

#: A pyang statement; pyang has no types.
Statement = Any

_INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}

#: Typedefs whose canonical form isn't the text itself (RFC 6991 §4).
_NORMAL_FORMS = {"ipv6-address": ipv6, "ipv6-address-no-zone": ipv6}


#: Types whose values point to something else. Stations write their state themselves; configuration comes from clients.
_REFERENCES = ("leafref", "identityref", "instance-identifier")


def leaf_type(statement: Statement, *, config: bool) -> LeafType:
    """Compile the type statement of configuration or of state; references in state take any text.

    Raises:
        ValueError: the type is beyond this compiler, as references in configuration are.
    """
    chain = _chain(statement)
    base = chain[-1].arg
    if config and base in _REFERENCES:
        raise ValueError(f"{base} in configuration is beyond this compiler")
    if base in _INTEGERS:
        return IntegerType(_intervals(chain, "range", _integer_limits(base)))
    if base == "decimal64":
        digits = int(_argument(chain, "fraction-digits"))
        limit = Decimal(2**63 - 1).scaleb(-digits)
        return DecimalType(digits, _intervals(chain, "range", (-limit, limit)))
    if base in ("enumeration", "bits"):
        names = _names(chain, "enum" if base == "enumeration" else "bit")
        return EnumerationType(names) if base == "enumeration" else BitsType(names)
    if base == "boolean":
        return EnumerationType(("true", "false"))
    if base == "union":
        return UnionType(tuple(leaf_type(member, config=config) for member in _members(chain)))
    if base == "empty":
        return EmptyType()
    lengths = _intervals(chain, "length", (Decimal(0), Decimal(2**64 - 1)))
    if base == "binary":
        return BinaryType(lengths)
    return _string(chain, lengths)


def default_of_type(statement: Statement) -> str | None:
    """Return the default that the nearest typedef gives, None when none does."""
    while (typedef := statement.i_typedef) is not None:
        default = typedef.search_one("default")
        if default is not None:
            return str(default.arg)
        statement = typedef.search_one("type")
    return None


def _string(chain: list[Statement], lengths: Intervals) -> StringType:
    patterns = [pattern for step in chain for pattern in step.search("pattern")]
    plain = tuple(python_pattern(pattern.arg) for pattern in patterns if pattern.search_one("modifier") is None)
    # The only modifier is invert-match (RFC 7950 §9.4.6).
    inverted = tuple(python_pattern(pattern.arg) for pattern in patterns if pattern.search_one("modifier") is not None)
    normal = next((_NORMAL_FORMS[name] for step in chain if (name := _local(step.arg)) in _NORMAL_FORMS), None)
    restricted = any(step.search_one("length") is not None for step in chain)
    return StringType(lengths if restricted else (), plain, inverted, normal)


def _chain(statement: Statement) -> list[Statement]:
    """The type statement and those of the typedefs it comes from, the built-in type last."""
    chain = [statement]
    while (typedef := chain[-1].i_typedef) is not None:
        chain.append(typedef.search_one("type"))
    return chain


def _argument(chain: list[Statement], keyword: str) -> str:
    return next(str(found.arg) for step in chain if (found := step.search_one(keyword)) is not None)


def _names(chain: list[Statement], keyword: str) -> tuple[str, ...]:
    """A derived type may list fewer names than its base; the nearest list holds, but for what if-feature leaves out."""
    named = next(found for step in chain if (found := step.search(keyword)))
    return tuple(item.arg for item in named if not hasattr(item, "i_not_implemented"))


def _members(chain: list[Statement]) -> list[Statement]:
    return list(chain[-1].search("type"))


def _integer_limits(base: str) -> tuple[Decimal, Decimal]:
    sign, bits = _INTEGERS[base]
    if sign:
        return Decimal(0), Decimal(2**bits - 1)
    return Decimal(-(2 ** (bits - 1))), Decimal(2 ** (bits - 1) - 1)


def _intervals(chain: list[Statement], keyword: str, limits: tuple[Decimal, Decimal]) -> Intervals:
    """The nearest range or length; ``min`` and ``max`` in it are the bounds of what it restricts."""
    intervals: Intervals = (limits,)
    for step in reversed(chain):
        restriction = step.search_one(keyword)
        if restriction is not None:
            bounds = intervals[0][0], intervals[-1][1]
            intervals = tuple(_interval(part, bounds) for part in restriction.arg.split("|"))
    return intervals


def _interval(text: str, bounds: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    low, _, high = text.partition("..")
    words = {"min": bounds[0], "max": bounds[1]}
    first = low.strip()
    last = high.strip() or first
    return (
        words[first] if first in words else Decimal(first),
        words[last] if last in words else Decimal(last),
    )


def _local(name: str) -> str:
    return name.rpartition(":")[2]


#: The modules that ship with the simulators.
YANG_PATH = Path(__file__).parents[1] / "yang"

#: What every NETCONF server of ours implements.
BASE_MODULES = (
    # Its identities are values in the YANG library, so it has to be implemented (RFC 7950 §9.10.2).
    "ietf-datastores",
    "ietf-netconf",
    "ietf-netconf-monitoring",
    "ietf-netconf-notifications",
    "ietf-netconf-with-defaults",
    "ietf-yang-library",
    "notifications",
    "nc-notifications",
    "o-ran-externalio",
    "o-ran-fm",
    "o-ran-operations",
    "o-ran-software-management",
    "o-ran-supervision",
    "minka-equipment",
    "minka-performance",
)

#: What a base station knows of others around it.
_AROUND = (
    "_3gpp-nr-nrm-nrfrequency",
    "_3gpp-nr-nrm-nrnetwork",
    "_3gpp-nr-nrm-eutranetwork",
    "_3gpp-nr-nrm-externalenbfunction",
    "_3gpp-nr-nrm-externaleutrancell",
    "_3gpp-nr-nrm-externalgnbcucpfunction",
    "_3gpp-nr-nrm-externalnrcellcu",
)

#: Modules of a station by profile, without the base modules; a station may have several profiles.
PROFILE_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lte-28658": ("_3gpp-common-managed-element", "minka-eutran-nrm", *_AROUND),
        "nr-28541": (
            "_3gpp-common-managed-element",
            "_3gpp-nr-nrm-gnbcucpfunction",
            "_3gpp-nr-nrm-danrmanagementfunction",
            "_3gpp-nr-nrm-gnbcuupfunction",
            "_3gpp-nr-nrm-gnbdufunction",
            "_3gpp-nr-nrm-nrcellcu",
            "_3gpp-nr-nrm-nrcelldu",
            "_3gpp-nr-nrm-nrsectorcarrier",
            "_3gpp-nr-nrm-operatordu",
            "_3gpp-nr-nrm-eutrancellrelation",
            "_3gpp-nr-nrm-nrcellrelation",
            "_3gpp-nr-nrm-nrfreqrelation",
            *_AROUND,
            "_3gpp-nr-nrm-nroperatorcelldu",
            "_3gpp-nr-nrm-rrmpolicy",
            "_3gpp-nr-nrm-ep",
            "minka-ep-state",
            "minka-3gpp-deviations",
        ),
    }
)

#: Statements under a data node whose meaning this compiler would lose.
_UNSUPPORTED = ("when", "unique", "choice", "case", "anydata", "anyxml")


class SchemaError(Exception):
    """The modules can't be read, or use what this compiler doesn't know."""


def load_schema(profile_modules: Iterable[str] | None = None) -> Schema:
    """Return the schema of the named modules and the base modules; none named means all profiles.

    Compiled once per process for each set of modules.
    """
    if profile_modules is None:
        profile_modules = (name for names in PROFILE_MODULES.values() for name in names)
    return _load(frozenset(profile_modules))


@cache
def _load(profile_modules: frozenset[str]) -> Schema:
    return compile_schema([YANG_PATH], sorted({*BASE_MODULES, *profile_modules}))


def compile_schema(folders: Iterable[Path], names: Iterable[str]) -> Schema:
    """Compile the named modules, which lie with all that they import in the folders.

    Raises:
        SchemaError: a module is absent, wrong, or beyond this compiler.
    """
    context = Context(FileRepository(":".join(map(str, folders)), use_env=False, no_path_recurse=True))
    wanted = tuple(names)
    context.features = _Features(wanted)
    for name in wanted:
        if context.search_module(None, name) is None:
            raise SchemaError(f"YANG module {name} is not in {', '.join(map(str, folders))}")
    context.validate()
    problems = [f"{where}: {err_to_str(tag, args)}" for where, tag, args in context.errors if is_error(err_level(tag))]
    if problems:
        raise SchemaError("\n".join(problems))
    modules = [context.get_module(name) for name in sorted({name for name, _ in context.modules})]
    for module in modules:
        module.prune()  # of what if-feature leaves out
        if "when" in _UNSUPPORTED:
            _refuse_conditions(module)
    root = Node("", "", "", Kind.CONTAINER, True, None, presence=True)
    _adopt(root, (child for module in modules for child in _data_nodes(module.i_children)))
    deviated = _deviated(modules)
    return Schema(root, tuple(_module_info(module, module.arg in wanted, deviated) for module in modules))


def _deviated(modules: Iterable[Statement]) -> frozenset[tuple[str, str]]:
    """Which module, first, is deviated by which; pyang has applied the deviations."""
    return frozenset(
        (deviation.i_target_node.i_module.arg, module.arg)
        for module in modules
        for deviation in module.search("deviation")
    )


def _module_info(module: Statement, implemented: bool, deviated: Collection[tuple[str, str]]) -> ModuleInfo:
    return ModuleInfo(
        name=module.arg,
        revision=module.i_latest_revision,
        namespace=module.search_one("namespace").arg,
        features=tuple(sorted(module.i_features)) if implemented else (),
        source_path=Path(module.pos.ref),
        implemented=implemented,
        deviations=tuple(sorted(name for target, name in deviated if target == module.arg)),
    )


def _adopt(parent: Node, statements: Iterable[Statement]) -> None:
    children = [_node(statement, parent) for statement in statements]
    if len({child.name for child in children}) != len(children):
        raise SchemaError(f"two children of {parent.name or 'the root'} share a name")
    parent.adopt(children)


def _data_nodes(statements: Iterable[Statement]) -> Iterator[Statement]:
    for statement in statements:
        if statement.keyword in ("container", "list", "leaf", "leaf-list"):
            yield statement
        elif statement.keyword in ("choice", "case") and not statement.i_config:
            # State is never checked for the rules of a choice: we write it ourselves.
            yield from _data_nodes(statement.i_children)
        elif statement.keyword in _UNSUPPORTED:
            raise SchemaError(f"{statement.pos}: {statement.keyword} is beyond this compiler")


def _node(statement: Statement, parent: Node) -> Node:
    for keyword in _UNSUPPORTED:
        if statement.i_config and statement.search_one(keyword) is not None:
            raise SchemaError(f"{statement.pos}: {keyword} is beyond this compiler")
    module = statement.i_module
    node = Node(
        statement.arg,
        module.search_one("namespace").arg,
        module.search_one("prefix").arg,
        Kind(statement.keyword),
        bool(statement.i_config),
        parent,
        presence=statement.search_one("presence") is not None,
        user_ordered=_arg(statement, "ordered-by") == "user",
        mandatory=_arg(statement, "mandatory") == "true",
        min_elements=int(_arg(statement, "min-elements") or 0),
        max_elements=_max_elements(statement),
        musts=tuple(_must(must) for must in statement.search("must")),
    )
    if node.is_branch:
        keys = [key.arg for key in getattr(statement, "i_key", None) or ()]
        _adopt(node, sorted(_data_nodes(statement.i_children), key=lambda child: _rank(child.arg, keys)))
        node.keys = tuple(range(len(keys)))
    else:
        _type(node, statement)
    return node


def _type(node: Node, statement: Statement) -> None:
    type_statement = statement.search_one("type")
    default = _arg(statement, "default") or default_of_type(type_statement)
    try:
        node.type = leaf_type(type_statement, config=node.config)
        if default is not None and not node.mandatory:
            node.default = node.type.canonical(default)
    except ValueError as error:
        raise SchemaError(f"{statement.pos}: {error}") from error


def _rank(name: str, keys: list[str]) -> int:
    """Key leaves come first, in the order of the key statement (RFC 7950 §7.8.5)."""
    return keys.index(name) if name in keys else len(keys)


def _arg(statement: Statement, keyword: str) -> str | None:
    found = statement.search_one(keyword)
    return None if found is None else str(found.arg)


def _max_elements(statement: Statement) -> int | None:
    limit = _arg(statement, "max-elements")
    return None if limit in (None, "unbounded") else int(limit)


class _Features(dict[str, tuple[str, ...]]):
    """The features for pyang: all of the implemented modules, none of imported ones."""

    def __init__(self, implemented: Collection[str]) -> None:
        super().__init__()
        self._implemented = implemented

    def __contains__(self, module: object) -> bool:
        return module not in self._implemented

    def __getitem__(self, module: str) -> tuple[str, ...]:
        return ()


def _refuse_conditions(statement: Statement) -> None:
    """Refuse ``when``, also on augment and uses. Operations and notifications are not compiled and may have it."""
    for child in statement.substmts:
        if child.keyword == "when":
            raise SchemaError(f"{child.pos}: when is beyond this compiler")
        if child.keyword not in ("rpc", "action", "notification"):
            _refuse_conditions(child)


#: The functions of XPath 1.0, and the only one of YANG (RFC 7950 §10) that is evaluated here.
_FUNCTIONS = frozenset(
    {
        *("last", "position", "count", "id", "local-name", "namespace-uri", "name", "string", "concat", "starts-with"),
        *("contains", "substring-before", "substring-after", "substring", "string-length", "normalize-space"),
        *(
            "translate",
            "boolean",
            "not",
            "true",
            "false",
            "lang",
            "number",
            "sum",
            "floor",
            "ceiling",
            "round",
            "current",
        ),
    }
)
#: Words before a bracket that are not functions: node tests and operators.
_NO_FUNCTIONS = frozenset({"text", "node", "comment", "processing-instruction", "and", "or", "div", "mod"})


def _must(statement: Statement) -> Must:
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", statement.arg)
    called = set(re.findall(r"([A-Za-z_][\w.:-]*)\s*\(", bare)) - _NO_FUNCTIONS
    if called - _FUNCTIONS:
        raise SchemaError(f"{statement.pos}: {', '.join(sorted(called - _FUNCTIONS))} is beyond this compiler")
    return Must(
        # Names of siblings are unique without their prefixes (see _adopt), so trees without
        # namespaces do, and lxml then needs no prefix for the module's own names.
        expression=re.sub(r"[A-Za-z_][\w.-]*:(?=[A-Za-z_*])", "", statement.arg),
        message=_arg(statement, "error-message") or f"must {statement.arg}",
        app_tag=_arg(statement, "error-app-tag") or "must-violation",
    )
