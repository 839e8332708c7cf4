"""Owners of fields: random appliers, and the rules that hold for all of them."""

# ruff: noqa: E501 (messages of the real server, each in one piece)

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulators.cloud.language import fieldsets, managed_fields, typed
from simulators.cloud.language.fieldsets import FieldSet, path_of
from simulators.cloud.language.status import StatusError
from tests.support.soak import SOAK
from tests.unit.simulators.cloud.language.kinds import FUNCTION, Object, built_in, function

_NAMES = st.sampled_from(["n3", "n4", "n6"])
_WORDS = st.sampled_from(["a", "b", "c"])
_INTERFACE = st.fixed_dictionaries(
    {"name": _NAMES},
    optional={
        "vlan": st.integers(1, 4),
        "address": st.fixed_dictionaries({}, optional={"ip": _WORDS, "gateway": _WORDS}),
    },
)
#: No empty lists: nobody owns one, here as on the real server, so that it may go with what is around it.
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "provider": _WORDS,
    "image": _WORDS,
    "replicas": st.integers(0, 3),
    "limits": st.dictionaries(_WORDS, st.integers(0, 2), max_size=3),
    "interfaces": st.lists(_INTERFACE, min_size=1, max_size=3, unique_by=lambda each: each["name"]),
    "slices": st.lists(_WORDS, min_size=1, max_size=3, unique=True),
    "arguments": st.lists(_WORDS, max_size=2),
}
_FEW = settings(max_examples=2000 if SOAK else 40)
_SPECS = st.fixed_dictionaries({}, optional=_FIELDS)


def _apply(live: Object | None, spec: Object, manager: str, *, force: bool = False, now: str = "1") -> Object:
    """Apply a spec, and a label of one's own: who owns nothing is nobody to the server."""
    sent = function(spec, labels={manager: ""})
    return managed_fields.applied(FUNCTION, live, sent, manager, force=force, now=now)


def _owned(obj: Object, manager: str) -> FieldSet:
    entries = obj["metadata"].get("managedFields", [])
    found = [fieldsets.decode(entry["fieldsV1"]) for entry in entries if entry["manager"] == manager]
    return frozenset[fieldsets.Path]().union(*found)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What stands where: worked out without the code under test."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{path}.{name}")
    elif isinstance(value, list) and path.endswith(".interfaces"):
        for each in value:
            yield from _leaves(each, f"{path}[{each['name']}]")
    elif isinstance(value, list) and path.endswith(".slices"):
        yield from ((f"{path}[{each}]", each) for each in value)
    else:
        yield path, value


@_FEW
@given(_SPECS, _SPECS)
def test_to_apply_the_same_twice_changes_nothing(first: Object, second: Object) -> None:
    live = _apply(None, first, "other")
    once = _apply(live, second, "one", force=True)
    assert _apply(once, second, "one", now="2") == once


@_FEW
@given(_SPECS, _SPECS)
def test_what_is_no_longer_applied_goes(first: Object, second: Object) -> None:
    result = _apply(_apply(None, first, "one"), second, "one")
    fresh = _apply(None, second, "one")
    assert _given(result, second) == _given(fresh, second)
    assert _owned(result, "one") == _owned(fresh, "one")


def _given(obj: Object, spec: Object) -> dict[str, Any]:
    """What stands in an object, but for the default that it has or not, as its spec went and came back or not."""
    found = dict(_leaves(obj.get("spec", {})))
    if "replicas" not in spec:
        found.pop(".replicas", None)
    return {path: each for path, each in found.items() if each != {} and each is not None}


@_FEW
@given(_SPECS, st.data())
def test_appliers_of_different_fields_never_conflict(spec: Object, data: st.DataObject) -> None:
    mine = data.draw(st.sets(st.sampled_from(sorted(_FIELDS))))
    one = {name: each for name, each in spec.items() if name in mine}
    two = {name: each for name, each in spec.items() if name not in mine}
    together = _apply(_apply(None, one, "one"), two, "two")
    swapped = _apply(_apply(None, two, "two"), one, "one")
    assert dict(_leaves(together.get("spec", {}))) == dict(_leaves(swapped.get("spec", {})))
    for manager in ("one", "two"):
        assert _owned(together, manager) == _owned(swapped, manager)
    alone = _apply(together, {}, "two")
    assert {**dict(_leaves(one)), ".replicas": one.get("replicas", 1)} == {
        **dict(_leaves(alone.get("spec", {}))),
        ".replicas": alone.get("spec", {}).get("replicas", 1),
    }


@_FEW
@given(_SPECS, _SPECS)
def test_only_another_value_for_an_owned_field_conflicts(first: Object, second: Object) -> None:
    live = _apply(None, first, "one")
    before, after = dict(_leaves(first)), dict(_leaves(second))
    differ = {path for path in before.keys() & after.keys() if before[path] != after[path]}
    if not differ:
        result = _apply(live, second, "two")
        assert dict(_leaves(result.get("spec", {}))) | before | after == dict(_leaves(result.get("spec", {})))
        return
    with pytest.raises(StatusError) as refused:
        _apply(live, second, "two")
    assert refused.value.code == 409
    assert refused.value.details is not None
    named = {cause["field"] for cause in refused.value.details["causes"]}
    assert named == {
        f".spec{path}".replace("[n", '[name="n').replace("n3]", 'n3"]').replace("n4]", 'n4"]').replace("n6]", 'n6"]')
        for path in differ
    }
    forced = _apply(live, second, "two", force=True)
    assert after.items() <= dict(_leaves(forced["spec"])).items()
    assert _owned(forced, "two") == typed.field_set(FUNCTION.typed_schema, function(second)) - _HEAD | _label("two")


def _label(manager: str) -> FieldSet:
    return frozenset({path_of("metadata", "labels", manager)})


_HEAD = frozenset(
    {path_of("apiVersion"), path_of("kind"), path_of("metadata", "name"), path_of("metadata", "namespace")}
)


@_FEW
@given(_SPECS, _SPECS, _SPECS)
def test_a_shared_field_stays_until_its_last_owner_lets_go(spec: Object, one: Object, two: Object) -> None:
    assume("provider" not in one and "provider" not in two)
    shared = {**spec, "provider": "a"}
    live = _apply(_apply(None, shared, "one"), shared, "two")
    live = _apply(live, one, "one", force=True)
    assert live["spec"]["provider"] == "a"
    live = _apply(live, two, "two", force=True)
    assert "provider" not in live.get("spec", {})


@_FEW
@given(_SPECS, _SPECS)
def test_an_update_takes_what_it_changes_and_nothing_else(first: Object, second: Object) -> None:
    live = _apply(None, first, "one")
    live["metadata"]["uid"] = "u"
    new = {**function(second), "metadata": copy.deepcopy(live["metadata"])}
    FUNCTION.default(new)
    result = managed_fields.updated(FUNCTION, live, new, "editor", now="2")
    change = typed.compare(FUNCTION.typed_schema, live, new)
    spec = {path for path in change.added | change.modified if path[0] == "f:spec"}
    assert _owned(result, "editor") == spec
    assert not _owned(result, "one") & (spec | change.removed)
    assert _owned(live, "one") - spec - change.removed == _owned(result, "one")


@_FEW
@given(
    st.frozensets(
        st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"n3"}', 'v:"x"']), min_size=1, max_size=4).map(tuple)
    )
)
def test_field_sets_survive_their_notation(fields: FieldSet) -> None:
    assert fieldsets.decode(fieldsets.encode(fields)) == fields


_A, _B, _C = ({"name": name} for name in ("n3", "n4", "n6"))
_OF_A, _OF_B = (f'f:interfaces/k:{{"name":"{name}"}}' for name in ("n3", "n4"))


@pytest.mark.parametrize(
    ("writes", "spec", "owned"),
    [
        pytest.param(
            [("one", {"interfaces": [_A, _B]}), ("two", {"interfaces": [_C]}), ("one", {"interfaces": [_A]})],
            {"interfaces": [_A, _C]},
            {"one": {_OF_A, f"{_OF_A}/f:name"}},
            id="remove_one",
        ),
        pytest.param(
            [("one", {"interfaces": [{**_A, "vlan": 1}]}), ("two", {"interfaces": [{**_A, "vlan": 1}]})],
            {"interfaces": [{**_A, "vlan": 1}]},
            {name: {_OF_A, f"{_OF_A}/f:name", f"{_OF_A}/f:vlan"} for name in ("one", "two")},
            id="same_value_no_conflict",
        ),
        pytest.param(
            [("UPDATE", {"image": "a", "provider": "b"}), ("one", {"image": "a", "provider": "b"}), ("one", {"image": "a"})],
            {"image": "a", "provider": "b"},
            {"UPDATE": {"", "f:image", "f:provider", "f:replicas"}, "one": {"f:image"}},
            id="unset_scalar_shared_with_updater",
        ),
        pytest.param(
            [("one", {"image": "a", "provider": "b"}), ("UPDATE", {"image": "a", "provider": "c"})],
            {"image": "a", "provider": "c"},
            {"UPDATE": {"f:provider"}, "one": {"f:image"}},
            id="updater_claims_field",
        ),
        pytest.param(
            [
                ("one", {"interfaces": [_A, {**_B, "address": {"ip": "a"}}]}),
                ("two", {"interfaces": [{**_A, "vlan": 1}]}),
                ("UPDATE", {"interfaces": [{**_A, "vlan": 1}, {**_B, "address": {"ip": "a", "gateway": "b"}}]}),
                ("one", {"interfaces": [_A]}),
            ],
            {"interfaces": [{**_A, "vlan": 1}]},
            {"one": {_OF_A, f"{_OF_A}/f:name"}, "two": {_OF_A, f"{_OF_A}/f:name", f"{_OF_A}/f:vlan"}, "UPDATE": set()},
            id="remove_one_with_dangling_subitem_keep_one",
        ),
        pytest.param(
            [("one", {"slices": ["a", "c"]}), ("UPDATE", {"slices": ["a", "b", "c"]}), ("one", {"slices": ["a", "b", "c"]})],
            {"slices": ["a", "b", "c"]},
            {"one": {f'f:slices/v:"{each}"' for each in "abc"}, "UPDATE": {'f:slices/v:"b"'}},
            id="apply_update_apply_with_overlap",
        ),
        pytest.param(
            [("one", {"slices": ["a", "b", "c"]}), ("UPDATE", {"slices": ["a", "c", "b"]}), ("one", {"slices": ["a", "b", "c"]})],
            {"slices": ["a", "b", "c"]},
            {"UPDATE": set()},
            id="apply_update_apply_reorder",
        ),
        pytest.param(
            [("one", {"limits": {"a": 1}}), ("UPDATE", {"limits": {"a": 1, "b": 2}}), ("one", {"limits": {}})],
            {"limits": {"b": 2}},
            {"one": {"f:limits"}, "UPDATE": {"f:limits/f:b"}},
            id="struct_apply_update_dict_dangling",
        ),
    ],
)  # fmt: skip
def test_cases_of_the_merge_library_end_here_as_there(
    writes: list[tuple[str, Object]], spec: Object, owned: dict[str, set[str]]
) -> None:
    """Situations of structured-merge-diff's own tests, by their names there."""
    live: Object | None = None
    for manager, sent in writes:
        if manager != "UPDATE":
            live = _apply(live, sent, manager)
            continue
        if live is not None:
            live["metadata"]["uid"] = "u"
        new = {**function(sent), **({} if live is None else {"metadata": copy.deepcopy(live["metadata"])})}
        FUNCTION.default(new)
        live = managed_fields.updated(FUNCTION, live, new, manager)
    assert live is not None
    found = live["spec"]
    found.pop("replicas", None)
    assert found == spec
    for manager, paths in owned.items():
        mine = {"/".join(path[1:]) for path in _owned(live, manager) if path[0] == "f:spec"}
        assert mine == paths, manager


def test_fields_that_nobody_owned_are_not_taken_unasked() -> None:
    bare = function({"provider": "a"}, uid="u")
    with pytest.raises(
        StatusError, match=r'conflict with "before-first-apply" using example\.org/v1: \.spec\.provider'
    ):
        _apply(bare, {"provider": "b"}, "one")


def test_kubectl_takes_back_what_it_wrote_itself() -> None:
    kind = built_in("configmaps")
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"k":"1"}}'
    sent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "annotations": {managed_fields.LAST_APPLIED: text}},
        "data": {"k": "1"},
    }
    live = managed_fields.updated(kind, None, copy.deepcopy(sent), "kubectl-client-side-apply", now="1")
    wanted: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "2"}}
    result = managed_fields.applied(kind, live, wanted, "kubectl", now="2")
    assert result["data"] == {"k": "2"}
    assert '"k":"2"' in result["metadata"]["annotations"][managed_fields.LAST_APPLIED]
    with pytest.raises(StatusError, match="conflict with"):
        managed_fields.applied(kind, live, wanted, "minka", now="2")


def test_the_oldest_of_many_writers_become_one() -> None:
    kind = built_in("configmaps")
    live: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": ""}}
    live = managed_fields.updated(kind, None, live, "w00", now="00")
    live["metadata"]["uid"] = "u"
    for at in range(1, 13):
        new = copy.deepcopy(live)
        new["data"][f"k{at}"] = "v"
        live = managed_fields.updated(kind, live, new, f"w{at:02}", now=f"{at:02}")
    managers = [entry["manager"] for entry in live["metadata"]["managedFields"]]
    assert len(managers) == managed_fields.MOST_UPDATERS
    assert managers[0] == "ancient-changes"
    assert path_of("data", "k2") in _owned(live, "ancient-changes")


def test_managed_fields_go_when_a_writer_clears_them() -> None:
    live = _apply(None, {"provider": "a"}, "one")
    live["metadata"]["uid"] = "u"
    new = copy.deepcopy(live)
    new["metadata"]["managedFields"] = [{}]
    assert "managedFields" not in managed_fields.updated(FUNCTION, live, new, "editor")["metadata"]


def test_times_alone_are_no_change() -> None:
    live = _apply(None, {"provider": "a"}, "one")
    later = _apply(None, {"provider": "a"}, "one", now="2")
    assert managed_fields.without_new_times(live, later) == live


def test_a_scale_takes_the_number_of_replicas_alone() -> None:
    live = managed_fields.updated(FUNCTION, None, function({"provider": "a", "replicas": 1}), "one", now="1")
    path = path_of("spec", "replicas")
    scale = managed_fields.to_scale(live["metadata"]["managedFields"], path)
    assert [entry["fieldsV1"] for entry in scale] == [{"f:spec": {"f:replicas": {}}}]
    scaled = [{**scale[0], "subresource": "scale", "manager": "hpa"}]
    entries = managed_fields.from_scale(FUNCTION, live["metadata"]["managedFields"], scaled, path)
    by_manager = {entry["manager"]: entry["fieldsV1"]["f:spec"] for entry in entries}
    assert by_manager == {"hpa": {"f:replicas": {}}, "one": {".": {}, "f:provider": {}}}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"replicas": "two"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"image": 5}, ".spec.image: expected string, got &value.valueUnstructured{Value:5}"),
        ({"interfaces": [{"vlan": 1}]}, '.spec.interfaces: element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)'),
        ({"interfaces": [{"name": "a"}, {"name": "a"}]}, '.spec.interfaces: duplicate entries for key [name="a"]'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_applied(spec: Object, text: str) -> None:
    with pytest.raises(StatusError) as refused:
        _apply(None, spec, "one")
    assert refused.value.code == 500
    assert refused.value.message == f"failed to create typed patch object (n/f; example.org/v1, Kind=Function): {text}"
