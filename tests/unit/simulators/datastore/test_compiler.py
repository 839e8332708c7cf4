"""From modules to the node table."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.datastore import PROFILE_MODULES, Config, load_schema
from simulators.datastore.compiler import SchemaError, compile_schema
from simulators.datastore.leaftypes import EnumerationType
from simulators.datastore.schema import Kind, Node, Schema
from simulators.datastore.validation import violations


def node(schema: Schema, *names: str) -> Node:
    found = schema.root
    for name in names:
        found = found.by_name[name]
    return found


def module(folder: Path, body: str, name: str = "toy") -> Schema:
    (folder / f"{name}.yang").write_text(f'module {name} {{ namespace "urn:{name}"; prefix {name}; {body} }}')
    return compile_schema([folder], [name])


def test_compiled_once_for_each_set_of_modules() -> None:
    assert load_schema() is load_schema()
    assert load_schema(PROFILE_MODULES["lte-28658"]) is load_schema(reversed(PROFILE_MODULES["lte-28658"]))
    assert load_schema(PROFILE_MODULES["lte-28658"]) is not load_schema()


def test_a_station_knows_only_its_profiles() -> None:
    lte = node(load_schema(PROFILE_MODULES["lte-28658"]), "ManagedElement")
    nr = node(load_schema(PROFILE_MODULES["nr-28541"]), "ManagedElement")
    assert set(lte.by_name) == {"id", "attributes", "AlarmList", "PerfMetricJob", "ENBFunction"}
    functions = {"GNBCUCPFunction", "GNBCUUPFunction", "GNBDUFunction"}
    assert set(nr.by_name) == {"id", "attributes", "AlarmList", "PerfMetricJob", *functions}


def test_facts_of_nodes() -> None:
    schema = load_schema()
    cell = node(schema, "ManagedElement", "GNBDUFunction", "NRCellDU")
    assert (cell.kind, cell.namespace, cell.prefix) == (
        Kind.LIST,
        "urn:3gpp:sa5:_3gpp-nr-nrm-nrcelldu",
        "nrcelldu3gpp",
    )
    plmns = node(schema, "ManagedElement", "GNBDUFunction", "NRCellDU", "attributes", "pLMNInfoList")
    assert [child.name for child in plmns.children] == ["mcc", "mnc", "sd", "sst"]
    assert (plmns.keys, plmns.user_ordered, plmns.min_elements) == ((0, 1, 2, 3), True, 1)
    assert plmns.children[0].is_key
    state = node(schema, "ManagedElement", "GNBCUCPFunction", "EP_NgC", "attributes", "operationalState")
    assert (state.config, state.namespace) == (False, "urn:minka:ep-state")
    admin = node(schema, "ManagedElement", "ENBFunction", "EP_S1C", "attributes", "administrativeState")
    assert (admin.default, admin.mandatory) == ("UNLOCKED", False)


def test_modules_say_what_hello_and_the_library_need() -> None:
    modules = {module.name: module for module in load_schema().modules}
    ep = modules["_3gpp-nr-nrm-ep"]
    assert (ep.namespace, ep.implemented) == ("urn:3gpp:sa5:_3gpp-nr-nrm-ep", True)
    classes = ("GNBCUCPFunction", "GNBCUUPFunction", "GNBDUFunction")
    assert ep.features == tuple(f"EPClassesUnder{name}" for name in classes)
    assert ep.source_path.read_text().startswith("module _3gpp-nr-nrm-ep {")
    assert not modules["_3gpp-common-yang-types"].implemented
    assert {"ietf-netconf-monitoring", "ietf-yang-library", "o-ran-fm"} <= set(modules)


def test_deviations_are_applied_and_named(tmp_path: Path) -> None:
    folded = "deviate replace { mandatory false; } deviate add { default x; }"
    (tmp_path / "toy.yang").write_text(
        """module toy { namespace "urn:toy"; prefix toy; grouping g { leaf b { type string; mandatory true; } }
             container a { presence "here"; uses g; } container c { presence "here"; uses g; } }"""
    )
    (tmp_path / "less.yang").write_text(
        f"""module less {{ namespace "urn:less"; prefix less; import toy {{ prefix toy; }}
             deviation /toy:a/toy:b {{ {folded} }} }}"""
    )
    schema = compile_schema([tmp_path], ["toy", "less"])
    deviated, as_it_was = node(schema, "a", "b"), node(schema, "c", "b")
    assert (deviated.mandatory, deviated.default) == (False, "x")
    assert (as_it_was.mandatory, as_it_was.default) == (True, None)
    assert {module.name: module.deviations for module in schema.modules} == {"toy": ("less",), "less": ()}


def test_must_sees_defaults(tmp_path: Path) -> None:
    schema = module(
        tmp_path,
        """leaf limit { type uint8; default 5; }
           container a { presence "here"; leaf b { type uint8; }
             must "toy:b <= /toy:limit and ../limit = 5 and //a/b and count(/*) > 1" { error-app-tag high; } }""",
    )
    for value, tags in (("5", []), ("6", ["high"])):
        config = Config.from_xml(schema, f'<a xmlns="urn:toy"><b>{value}</b></a>'.encode())
        assert [error.app_tag for error in violations(schema, config.root.branch)] == tags


def test_typedefs_lend_defaults_ranges_and_names(tmp_path: Path) -> None:
    schema = module(
        tmp_path,
        """typedef small { type uint8 { range "1..10 | 20..max"; } default 3; }
           typedef word { type string { pattern "[a-z]*"; length "2..5"; } }
           leaf a { type small { range "min..5"; } }  leaf b { type small; }
           leaf c { type word { pattern ".*z"; } }  leaf d { type word { length "5"; } default "abcde"; }
           leaf e { type bits { bit x; bit y; } }  leaf f { type binary; }  leaf g { type empty; }
           leaf h { config false; type leafref { path "../a"; } }
           container p { presence "here"; leaf i { type decimal64 { fraction-digits 2; } } }""",
    )

    def canonical(name: str, text: str) -> str:
        kind = schema.root.by_name[name].type
        assert kind is not None
        return kind.canonical(text)

    assert [schema.root.by_name[name].default for name in "abcd"] == ["3", "3", None, "abcde"]
    assert (canonical("a", "5"), canonical("b", "255"), canonical("c", "abz")) == ("5", "255", "abz")
    for name, text in (("a", "6"), ("a", "0"), ("b", "11"), ("c", "abc"), ("c", "aaaaaz"), ("d", "abcd")):
        with pytest.raises(ValueError):
            canonical(name, text)
    assert canonical("e", "y x") == "x y"
    assert schema.root.by_name["p"].presence


@pytest.mark.parametrize(
    "body",
    [
        "container a { choice b { leaf c { type string; } } }",
        "list a { key b; unique c; leaf b { type string; } leaf c { type string; } }",
        'leaf a { type string; } leaf b { when "../a"; type string; }',
        "anyxml a;",
        "leaf a { type nonsense; }",
        "leaf a { }",
        'leaf a { type string { pattern "\\\\p{Lu}"; } }',
        'leaf a { type string; } leaf b { type leafref { path "../a"; } }',
        'leaf a { type string; } leaf b { type union { type uint8; type leafref { path "../a"; } } }',
        "identity a; leaf b { type identityref { base a; } }",
        "leaf a { type instance-identifier; }",
        "leaf a { type string; must \"re-match(., 'x')\"; }",
        "identity i; leaf a { type string; must \"not(derived-from(., 'toy:i'))\"; }",
        'grouping g { leaf a { type string; } } leaf b { type string; } uses g { when "b"; }',
        'container c { leaf a { type string; } } augment "/c" { when "a"; leaf b { type string; } }',
    ],
)
def test_what_the_compiler_would_lose_is_refused(body: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError):
        module(tmp_path, body)


def test_an_absent_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="YANG module nowhere"):
        compile_schema([tmp_path], ["nowhere"])


def test_if_feature_leaves_out_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "lender.yang").write_text(
        'module lender { namespace "urn:lender"; prefix l; feature f;'
        "grouping g { leaf h { if-feature f; type string; } } }"
    )
    schema = module(
        tmp_path,
        """yang-version 1.1; import lender { prefix l; } feature f; feature g; container c { presence "here"; }
           leaf a { if-feature "f and (g or toy:f)"; type string; } leaf b { if-feature "not f"; type string; }
           leaf d { if-feature l:f; type string; } uses l:g;
           augment "/c" { if-feature "not g"; leaf e { type string; } }
           leaf i { type enumeration { enum x; enum y { if-feature "not f"; } } }""",
    )
    assert set(schema.root.by_name) == {"a", "c", "i"}
    assert not schema.root.by_name["c"].children
    assert schema.root.by_name["i"].type == EnumerationType(("x",))


def test_must_statements_may_call_what_xpath_has(tmp_path: Path) -> None:
    body = "leaf a { type string; must \"not(. = 'derived-from(x)') and (count(../a) = 1)\"; }"
    schema = module(tmp_path, body)
    assert violations(schema, ("anything",)) == []
    assert [error.app_tag for error in violations(schema, ("derived-from(x)",))] == ["must-violation"]


def test_an_inverted_pattern_must_not_match(tmp_path: Path) -> None:
    body = 'yang-version 1.1; leaf a { type string { pattern "[a-z]*"; pattern "x.*" { modifier invert-match; } } }'
    kind = module(tmp_path, body).root.by_name["a"].type
    assert kind is not None
    assert kind.canonical("ab") == "ab"
    for text in ("xa", "A"):
        with pytest.raises(ValueError, match="match"):
            kind.canonical(text)
