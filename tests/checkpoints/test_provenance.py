"""Tests of the provenance written into files."""

import json
import platform

from workbench.checkpoints.provenance import commit, provenance, release


def test_provenance_is_json_and_keeps_the_name_of_the_machine_out() -> None:
    facts = provenance(1.23456)
    assert facts["seconds"] == 1.235
    assert facts.keys() >= {"version", "commit", "time", "platform", "torch"}
    assert platform.node() not in json.dumps(facts)


def test_the_commit_is_a_hash_or_nothing() -> None:
    assert commit() == "" or len(commit().rstrip("+")) == 40


def test_a_distribution_that_is_not_installed_has_no_known_release() -> None:
    assert release("no-such-distribution-anywhere") == "unknown"
