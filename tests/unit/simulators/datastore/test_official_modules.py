"""Our subset modules against the official ones, which can't be shipped (see tests/conftest.py).

Two ways: fact by fact, since the official modules go through the same compiler; and document by
document, with yanglint. Facts agree without and with our deviations, which hold for the official
modules as they do for ours.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyang.statements import Statement

from simulators.datastore import PROFILE_MODULES, Config, Schema, compiler, load_schema
from simulators.datastore.compiler import YANG_PATH
from simulators.datastore.leaftypes import LeafType, StringType, UnionType
from simulators.datastore.schema import Node
from tests.conftest import OFFICIAL_MODULES, find_program
from tests.unit.simulators.datastore.documents import ENB, GNB
from tests.unit.simulators.datastore.test_yang_modules import DEVIATIONS, WRONG, wrong

#: Our deviations alone: beside them stand our subsets, of newer revisions than the official modules.
ALONE = tempfile.TemporaryDirectory(prefix="minka-deviations-")
shutil.copy(YANG_PATH / f"{DEVIATIONS}.yang", ALONE.name)
FOLDERS = [*(OFFICIAL_MODULES / name for name in ("3gpp", "ietf", "iana", "local")), Path(ALONE.name)]
#: Gives its function a second leaf ``id`` there, which our compiler can not tell from the first. What plans write
#: of it is validated by yanglint in tests/conformance/yang.
SECOND_ID = "_3gpp-nr-nrm-danrmanagementfunction"
#: Modules of the official set that our stations have.
STANDARD = tuple(name for name in PROFILE_MODULES["nr-28541"] if name.startswith("_") and name != SECOND_ID)
DEVIATED = (*STANDARD, DEVIATIONS)
#: Nodes that no official module has.
OURS_ALONE = ("urn:minka:ep-state", "urn:minka:eutran-nrm")
#: Nodes that stand within a choice there, which is left out below.
WITHIN_CHOICE = ("fileReportingPeriod",)


@cache
def official(names: tuple[str, ...]) -> Schema:
    """Official modules, less the choices in their measurement jobs, which no station of ours has.

    References within the configuration (of SubNetwork), which our compiler refuses, are plain texts.
    """

    ours = compiler.leaf_type

    def leaf_type_or_text(statement: Statement, *, config: bool) -> LeafType:
        return StringType() if statement.arg == "leafref" and config else ours(statement, config=config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "_UNSUPPORTED", ())
        patch.setattr(compiler, "leaf_type", leaf_type_or_text)
        return compiler.compile_schema(FOLDERS, names)


def pairs(ours: Node, theirs: Node) -> Iterator[tuple[Node, Node]]:
    """Our nodes, each with the official one of the same name and namespace."""
    for child in ours.children:
        if child.namespace not in OURS_ALONE and child.name not in WITHIN_CHOICE:
            counterpart = theirs.by_tag[child.tag]
            yield child, counterpart
            yield from pairs(child, counterpart)


def station_pairs(names: tuple[str, ...] = DEVIATED) -> list[tuple[Node, Node]]:
    found: list[tuple[Node, Node]] = []
    for name in ("ManagedElement", "NRNetwork", "EUtraNetwork"):
        ours, theirs = (schema.root.by_name[name] for schema in (load_schema(names), official(names)))
        found += [(ours, theirs), *pairs(ours, theirs)]
    return found


def facts(node: Node) -> tuple[object, ...]:
    keys = [node.children[index].name for index in node.keys]
    limits = node.min_elements, node.max_elements
    # A key is mandatory, whatever its statement says.
    mandatory = node.mandatory or node.is_key
    return (
        *(node.tag, node.prefix, node.kind, node.config, node.presence, keys, node.user_ordered),
        *(mandatory, limits, node.default, without_patterns(node.type)),
    )


def without_patterns(kind: LeafType | None) -> LeafType | None:
    """Patterns may be written otherwise; what they take is compared below."""
    if isinstance(kind, StringType):
        return dataclasses.replace(kind, patterns=())
    if isinstance(kind, UnionType):
        return UnionType(tuple(member for item in kind.members if (member := without_patterns(item)) is not None))
    return kind


@pytest.mark.parametrize("names", [STANDARD, DEVIATED], ids=["as they are", "with our deviations"])
def test_every_node_is_as_in_the_official_modules(names: tuple[str, ...]) -> None:
    compared = station_pairs(names)
    assert len(compared) > 150
    assert [(facts(ours), facts(theirs)) for ours, theirs in compared if facts(ours) != facts(theirs)] == []


@pytest.mark.parametrize("names", [STANDARD, DEVIATED], ids=["as they are", "with our deviations"])
def test_nothing_that_must_be_there_is_left_out(names: tuple[str, ...]) -> None:
    for ours, theirs in station_pairs(names):
        left_out = [node for node in theirs.children if node.tag not in ours.by_tag and node.config]
        assert [node.name for node in left_out if node.mandatory or node.min_elements] == []


def written_otherwise() -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    found = {}
    for ours, theirs in station_pairs():
        if isinstance(ours.type, StringType) and isinstance(theirs.type, StringType):
            assert len(ours.type.patterns) == len(theirs.type.patterns)
            for mine, other in zip(ours.type.patterns, theirs.type.patterns, strict=True):
                if mine.pattern != other.pattern:
                    found[mine.pattern] = mine, other
    return found


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_patterns_take_the_same_texts(data: st.DataObject) -> None:
    patterns = list(written_otherwise().values())
    assert len(patterns) == 3  # mcc, mnc, distinguished names
    mine, other = data.draw(st.sampled_from(patterns))
    for text in (data.draw(st.from_regex(mine, fullmatch=True)), data.draw(st.from_regex(other, fullmatch=True))):
        broken = data.draw(st.sampled_from([text, text[1:], text[:-1], text + ",", text.replace("=", "")]))
        for sample in (text, broken):
            assert bool(mine.fullmatch(sample)) is bool(other.fullmatch(sample)), sample


@pytest.mark.needs("yanglint")
class TestDocuments:
    def lint(self, folder: Path, document: str, names: tuple[str, ...] = DEVIATED) -> bool:
        program = find_program("yanglint")
        assert program is not None
        (folder / "document.xml").write_text(document)
        modules = [next(found for path in FOLDERS if (found := path / f"{name}.yang").exists()) for name in names]
        search = [item for path in FOLDERS for item in ("-p", path)]
        command = [program, *search, "-t", "config", *modules, folder / "document.xml"]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    def test_our_document_is_valid_there(self, tmp_path: Path) -> None:
        assert self.lint(tmp_path, GNB)
        assert self.lint(tmp_path, Config.from_xml(load_schema(), GNB.encode()).to_text(with_defaults="report-all"))

    def test_our_document_needs_our_deviations(self, tmp_path: Path) -> None:
        assert not self.lint(tmp_path, GNB, STANDARD)

    @pytest.mark.parametrize("name", [name for name, (document, _, _) in WRONG.items() if document is GNB])
    def test_what_we_refuse_is_refused_there(self, name: str, tmp_path: Path) -> None:
        assert not self.lint(tmp_path, wrong(name))

    def test_their_documents_are_valid_here(self, tmp_path: Path) -> None:
        document = (OFFICIAL_MODULES / "examples/01b-shared-gnb-config-relaxed.xml").read_text()
        assert self.lint(tmp_path, document)
        Config.from_xml(load_schema(), document.encode()).validate()

    def test_the_draft_of_the_lte_model_is_contained_in_ours(self) -> None:
        document = (OFFICIAL_MODULES / "examples/08-shared-enb-lte-config.xml").read_text()
        document = document.replace("urn:example:vran:eutran-nrm", "urn:minka:eutran-nrm")
        Config.from_xml(load_schema(), document.encode()).validate()
        draft = official(("_3gpp-common-managed-element", "vran-eutran-nrm"))
        theirs = draft.root.by_name["ManagedElement"].by_name["ENBFunction"]
        ours = load_schema().root.by_name["ManagedElement"].by_name["ENBFunction"]
        added = {node.name for node in ours.by_name["EUtranCellFDD"].by_name["attributes"].children} - set(
            theirs.by_name["EUtranCellFDD"].by_name["attributes"].by_name
        )
        assert added == {"cellState", "plmnRadioShareList", "rootSequenceIndex", "usageState"}
        assert ENB.count("plmnRadioShareList") == 2


@pytest.mark.parametrize("name", ["notifications@2008-07-14", "nc-notifications@2008-07-14"])
def test_public_modules_are_the_public_ones(name: str) -> None:
    assert (YANG_PATH / f"{name}.yang").read_bytes() == (OFFICIAL_MODULES / "ietf" / f"{name}.yang").read_bytes()


def test_nothing_was_copied() -> None:
    """The official modules have no open licence: only names may agree, no sentence of theirs."""
    theirs = {
        " ".join(text.split())
        for path in (OFFICIAL_MODULES / "3gpp").glob("*.yang")
        for text in re.findall(r'description\s+"([^"]*)"', path.read_text())
    }
    folder = Path(load_schema().modules[0].source_path).parent
    ours = {
        " ".join(text.split())
        for path in folder.glob("_3gpp*.yang")
        for text in re.findall(r'description\s+"([^"]*)"', path.read_text())
    }
    assert not {text for text in ours & theirs if len(text) > 20}
