"""Every Lua script says what it takes, in a header its body agrees with."""

from __future__ import annotations

import pytest

from tests.quality.lua_header import faults, include_faults
from tests.quality.tree import files, shown

_SCRIPT = """--[[
take_due: take what is due.

KEYS
  1  pending  zset  entry id, scored by due time (ms)
ARGV
  1  now_ms   the caller's clock
  2..  ids    what to take
RETURNS
  entry ids
]]
-- ARGV[9] in a comment is not taken.
local due = redis.call("ZRANGE", KEYS[1], "-inf", ARGV[1], "BYSCORE")
for index = 2, #ARGV do due[#due + 1] = ARGV[index] end
return due
"""


def test_every_script_takes_what_its_header_describes() -> None:
    wrong = [
        f"{shown(path)} {fault}"
        for path in files("*.lua", "eventsys/store/lua")
        for fault in (include_faults if path.parent.name == "includes" else faults)(path.stem, path.read_text())
    ]
    assert not wrong


def test_a_complete_header_has_no_fault() -> None:
    assert faults("take_due", _SCRIPT) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("--[[", "-- [[", "does not begin with a header comment"),
        ("take_due: take", "takes", "does not begin with 'take_due: purpose'"),
        ("RETURNS", "returns", "has no section RETURNS"),
        ("KEYS\n  1", "KEYS\n  2", "takes KEYS[1], which the header does not describe"),
        ("ARGV[1], ", "ARGV[0], ", "takes ARGV[0], which the header does not describe"),
        ("  2..  ids", "  2    ids", "takes ARGV[index], but no entry of the header is open-ended, such as '3..'"),
    ],
)
def test_a_header_that_disagrees_with_its_body_is_named(old: str, new: str, fault: str) -> None:
    assert old in _SCRIPT
    assert faults("take_due", _SCRIPT.replace(old, new)) == [fault]


def test_a_step_under_includes_takes_parameters_only() -> None:
    source = "--[[\ncount_up: count.\n]]\nlocal function count_up(key) return redis.call('INCR', KEYS[1]) end\n"
    assert include_faults("count_up", source) == ["reads KEYS; a step takes parameters"]
    assert include_faults("count_up", source.replace("KEYS[1]", "key")) == []
