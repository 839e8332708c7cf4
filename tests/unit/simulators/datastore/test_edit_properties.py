"""The algebra of edits, over generated cells, policies and links."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from simulators.datastore import Config, RpcError, RpcErrors, load_schema
from tests.unit.simulators.datastore.documents import (
    CELL_DU,
    CELL_PATH,
    DU,
    ELEMENT,
    NETCONF,
    POLICY,
    cell_edit,
    edit,
    gnb,
    plmns,
    slice_info,
)

#: No deadline: the machine may be busy with other tests.
quick = settings(max_examples=40, deadline=None)

NAMES = st.sampled_from(["a", "b", "n78-1", "n78-2", "z"])
MNCS = st.sampled_from(["06", "006", "10", "15", "17"])
LABELS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8) | st.sampled_from(
    ["\r\n", "\t", "<&>\"'", " "]
)


@st.composite
def attributes(draw: st.DrawFn) -> str:
    """Some attributes of a cell, all valid, not always all mandatory ones."""
    parts = [slice_info("pLMNInfoList", mnc) for mnc in draw(st.lists(MNCS, max_size=5, unique=True))]
    leaves = {
        "userLabel": LABELS.map(lambda text: etree.tostring(labelled(text), encoding="unicode")),
        "nRPCI": st.integers(0, 1007).map(lambda number: f"<nRPCI>{number}</nRPCI>"),
        "nRTAC": st.integers(0, 16777215).map(lambda number: f"<nRTAC>{number:08d}</nRTAC>"),
        "administrativeState": st.sampled_from(["LOCKED", "UNLOCKED"]).map(
            lambda state: f"<administrativeState>{state}</administrativeState>"
        ),
    }
    parts += [draw(leaves[name]) for name in draw(st.lists(st.sampled_from(sorted(leaves)), unique=True))]
    return "".join(draw(st.permutations(parts)))


def labelled(text: str) -> etree._Element:
    label = etree.Element("userLabel")
    label.text = text
    return label


@st.composite
def cells(draw: st.DrawFn) -> str:
    """A cell with its name, attributes and policies; ``{}`` in it takes attributes of its element."""
    policies = "".join(
        f'<RRMPolicyRatio xmlns="{POLICY}"><id>{name}</id><attributes><rRMPolicyMinRatio>{least}</rRMPolicyMinRatio>'
        "</attributes></RRMPolicyRatio>"
        for name, least in draw(st.dictionaries(NAMES, st.integers(0, 100), max_size=3)).items()
    )
    content = draw(attributes()).replace("{", "(").replace("}", ")")
    return f"<NRCellDU {{}}><id>{draw(NAMES)}</id><attributes>{content}</attributes>{policies}</NRCellDU>"


def du(content: str, operation: str | None = None) -> etree._Element:
    """An edit below the distributed unit, the operation on each cell of the content."""
    marked = content.replace("{}", f'xmlns="{CELL_DU}"' + (f' nc:operation="{operation}"' if operation else ""))
    return edit(
        f'<ManagedElement xmlns="{ELEMENT}"><id>PE-1</id><GNBDUFunction xmlns="{DU}"><id>1</id>{marked}'
        "</GNBDUFunction></ManagedElement>"
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    config = gnb()
    for content in draw(st.lists(cells(), max_size=3)):
        config = config.edit(du(content), "merge")
    return config


def without(config: Config, content: str) -> Config:
    return config.edit(du(content, "remove"), "none")


@quick
@given(configs(), cells())
def test_create_then_delete_is_identity(config: Config, cell: str) -> None:
    before = without(config, cell)
    created = before.edit(du(cell, "create"), "none")
    assert created != before
    assert created.edit(du(cell, "delete"), "none") == before


@quick
@given(configs(), cells())
def test_replace_is_delete_and_create(config: Config, cell: str) -> None:
    replaced = config.edit(du(cell, "replace"), "none")
    assert replaced == without(config, cell).edit(du(cell, "create"), "none")
    assert replaced.edit(du(cell, "replace"), "none") == replaced


@quick
@given(configs(), cells())
def test_merge_is_idempotent(config: Config, cell: str) -> None:
    once = config.edit(du(cell))
    assert once.edit(du(cell)) is once


@quick
@given(configs(), cells(), cells())
def test_edits_of_different_cells_commute(config: Config, one: str, other: str) -> None:
    if one.partition("</id>")[0] != other.partition("</id>")[0]:
        assert config.edit(du(one)).edit(du(other)) == config.edit(du(other)).edit(du(one))


@quick
@given(configs(), st.lists(cells(), min_size=1, max_size=3, unique_by=lambda cell: cell.partition("</id>")[0]))
def test_merging_one_by_one_is_merging_at_once(config: Config, many: list[str]) -> None:
    one_by_one = config
    for cell in many:
        one_by_one = one_by_one.edit(du(cell))
    assert config.edit(du("".join(many))) == one_by_one


@quick
@given(configs(), cells())
def test_create_succeeds_just_when_delete_fails(config: Config, cell: str) -> None:
    tags: list[str] = []
    text = config.to_text()

    def works(operation: str) -> bool:
        try:
            config.edit(du(cell, operation), "none")
        except RpcError as error:
            tags.append(error.tag)
            return False
        return True

    created = works("create")
    assert works("delete") is not created
    assert tags == ["data-missing" if created else "data-exists"]
    assert config.to_text() == text


@quick
@given(configs(), cells())
def test_a_failing_edit_leaves_all_as_it_was(config: Config, cell: str) -> None:
    """The good part stands before the bad one, and must not stay."""
    text, known = config.to_text(), hash(config)
    document = du(cell + cell_without_key())
    with pytest.raises(RpcError, match="missing-element"):
        config.edit(document)
    assert (config.to_text(), hash(config)) == (text, known)


def cell_without_key() -> str:
    return f'<NRCellDU xmlns="{CELL_DU}"/>'


@quick
@given(configs())
def test_xml_round_trip(config: Config) -> None:
    assert Config.from_xml(config.schema, f'<data xmlns="{NETCONF}">{config.to_text()}</data>'.encode()) == config
    assert config.edit(edit(config.to_text())) is config
    assert Config.empty(load_schema()).edit(edit(config.to_text()), "replace") == config


@quick
@given(configs())
def test_tagged_defaults_say_nothing_new(config: Config) -> None:
    assert Config.empty(load_schema()).edit(edit(config.to_text(with_defaults="report-all-tagged"))) == config


@quick
@given(configs())
def test_trim_loses_only_defaults(config: Config) -> None:
    trimmed = Config.empty(load_schema()).edit(edit(config.to_text(with_defaults="trim")))
    assert trimmed.to_text(with_defaults="report-all") == config.to_text(with_defaults="report-all")


@quick
@given(st.permutations(["06", "10", "15", "17"]), st.permutations(["06", "10", "15", "17"]))
def test_users_order_is_kept_and_can_be_set(first: list[str], second: list[str]) -> None:
    config = gnb()
    for mnc in first:
        config = config.edit(cell_edit(slice_info("pLMNInfoList", mnc, attributes='yang:insert="last"')))
    assert plmns(config) == first
    content = "".join(slice_info("pLMNInfoList", mnc) for mnc in second)
    assert plmns(config.edit(cell_edit(content))) == first
    previous = None
    for mnc in second:
        where = 'yang:insert="first"'
        if previous is not None:
            key = f"[mcc='716'][mnc='{previous}'][sd='FFFFFF'][sst='1']"
            where = f'yang:insert="after" yang:key="{key}"'
        config = config.edit(cell_edit(slice_info("pLMNInfoList", mnc, attributes=where)))
        previous = mnc
    assert plmns(config) == second


@quick
@given(configs())
def test_filters_select_what_reading_finds(config: Config) -> None:
    document = etree.fromstring(
        f'<filter xmlns="{NETCONF}"><ManagedElement xmlns="{ELEMENT}"><GNBDUFunction xmlns="{DU}">'
        f'<NRCellDU xmlns="{CELL_DU}"><attributes><nRPCI/></attributes></NRCellDU></GNBDUFunction></ManagedElement>'
        "</filter>"
    )
    shown = etree.fromstring(f"<data>{config.to_text(filter=document)}</data>")
    function = config.get(CELL_PATH[:2])
    assert function is not None
    expected = []
    for cell in function.entries("NRCellDU"):
        inner = cell.child("attributes")
        assert inner is not None
        if inner.leaf("nRPCI") is not None:
            expected.append((cell.keys[0], inner.leaf("nRPCI")))
    found = [(cell.findtext("{*}id"), cell.findtext("{*}attributes/{*}nRPCI")) for cell in shown.iter("{*}NRCellDU")]
    assert found == expected


@quick
@given(configs())
def test_validation_reports_each_incomplete_cell(config: Config) -> None:
    function = config.get(CELL_PATH[:2])
    assert function is not None
    incomplete = set()
    for cell in function.entries("NRCellDU"):
        inner = cell.child("attributes")
        assert inner is not None
        if cell.keys[0] not in ("n78-1", "n78-2"):
            incomplete.add(cell.keys[0])
        for policy in cell.entries("RRMPolicyRatio"):
            body = policy.child("attributes")
            assert body is not None
            if body.leaf("resourceType") is None:
                incomplete.add(cell.keys[0])
    try:
        config.validate()
    except RpcErrors as errors:
        named = {str(error.path).split("NRCellDU[nrcelldu3gpp:id='")[1].split("'")[0] for error in errors.errors}
        assert named == incomplete
    else:
        assert incomplete == set()
