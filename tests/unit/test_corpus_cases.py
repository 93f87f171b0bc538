"""What is wrong with a case is told, with file, place and key: one test for each kind of error."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_kit import HEAD, RULE, STEPS, corpus, errors, planned, write

from conformance.corpus import load

CASE = HEAD + STEPS
MATRIX = '[matrix]\nvia = ["move_ext", "swapext"]\n'
OPEN = 'do = "open"\nfile = "target"\nname = "two"\n'
MAP = 'do = "map"\nfile = "target"\nname = "view"\n'
ACTOR = """
[[steps]]
do = "start"
actor = "writer"

[[steps]]
do = "stop"
actor = "writer"

[[actors]]
name = "writer"
loop = true

[[actors.steps]]
do = "write"
file = "target"
"""


def step(text: str) -> str:
    """A case with one step more, step 2."""
    return f"{CASE}\n[[steps]]\n{text}\n"


def test_a_right_case_has_no_errors(tmp_path: Path) -> None:
    assert errors(tmp_path, CASE) == []
    assert errors(tmp_path, CASE + ACTOR) == []


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # TOML
        ("rule = \n", "area/case.toml, line 1: not TOML: Invalid value"),
        (CASE + "[files]\n", "not TOML: Cannot declare ('files',) twice"),
        # keys of the case
        (CASE.replace("rule =", "rul ="), "area/case.toml: unknown key 'rul'. Did you mean rule?"),
        (CASE.replace('rule = "TEST-1"', ""), "area/case.toml: the key 'rule' is missing"),
        (CASE.replace('title = "A case"', ""), "area/case.toml: the key 'title' is missing"),
        (CASE.replace('"A case"', '" "'), "key 'title': expected a sentence, found nothing"),
        (CASE.replace('"TEST-1"', '"TEST-2"'), "key 'rule': unknown rule 'TEST-2'. Did you mean TEST-1?"),
        (CASE.replace('"TEST-1"', "7"), "key 'rule': expected text, found 7"),
        ("format = 2\n" + CASE, "key 'format': expected 1, the contract that this version reads, found 2"),
        ('tags = ["quik"]\n' + CASE, "key 'tags': unknown tag 'quik'. Did you mean quick?"),
        ('tags = ["quick", "quick"]\n' + CASE, "key 'tags': 'quick' is listed twice"),
        ('tags = "quick"\n' + CASE, "key 'tags': expected a list, found 'quick'"),
        ('needs = ["clones"]\n' + CASE, "key 'needs': unknown ability 'clones'. Did you mean clone"),
        ('lacks = ["clones"]\n' + CASE, "key 'lacks': unknown ability 'clones'. Did you mean clone"),
        ("seconds = 0\n" + CASE, "key 'seconds': expected more than 0 and at most 600, found 0"),
        ("seconds = 601\n" + CASE, "key 'seconds': expected more than 0 and at most 600, found 601"),
        ("files = 3\n" + HEAD, "key 'files': expected a table [files], found 3"),
        (HEAD, "expected at least one step under [[steps]]"),
        (HEAD + "[steps]\ndo = 'sync'\n", "expected tables under [[steps]], found {'do': 'sync'}"),
        # matrix
        (CASE + MATRIX.replace("via", "Via"), "axis 'Via': expected a name of small letters"),
        (CASE + MATRIX.replace("via", "fs"), "axis 'fs': expected a name of small letters"),
        (CASE + "[matrix]\nvia = []\n", "axis 'via': expected at least one value, found none"),
        (CASE + "[matrix]\nvia = 'a'\n", "axis 'via': expected a list of values, or a table"),
        (CASE + "[matrix]\nvia = ['a', 'a']\n", "axis 'via': expected values that differ"),
        (CASE + "[matrix]\nvia = [true]\n", "axis 'via': expected texts or whole numbers, found True"),
        (CASE + "[matrix]\nvia = ['a b']\n", 'give other values a name: axis = {name = "value"}'),
        (
            CASE + "[matrix]\n" + "\n".join(f"a{n} = {list(range(10))}" for n in range(4)),
            "key 'matrix': expected at most 2000 trials, found 10000",
        ),
        ('exclude = ["vie=a"]\n' + CASE + MATRIX, "key 'exclude': unknown axis 'vie'. Did you mean via?"),
        ('exclude = ["fs=ext4"]\n' + CASE + MATRIX, "key 'exclude': expected only axes"),
        (CASE + '[not_applicable]\n"fs=xfs" = ""\n', "key 'not_applicable': expected a reason for 'fs=xfs'"),
        (CASE + '[not_applicable]\n"xfs" = "so"\n', "key 'not_applicable': expected a condition such as"),
        # placeholders and choices
        (step('do = "truncate"\nfile = "target"\nsize = "{n}b"'), "step 2, key 'size': unknown axis 'n'"),
        (CASE.replace("data:16b", "data:{n}b", 1), "key 'files': unknown axis 'n'"),
        (step("do = 'sync'\nexpect = { 'via=a' = 'OK' }"), "step 2, key 'expect': unknown axis 'via'"),
        (step("do = 'sync'\nwhen = 'via'"), "step 2, key 'when': expected a condition such as"),
        (step("do = 'sync'\nwhen = true"), "step 2, key 'when': expected a condition such as"),
        (
            step("do = 'sync'\nexpect = { 'fs=xfs' = 'OK' }"),
            "step 2, key 'expect': no condition of fs=xfs holds for @fs:big; add the key 'otherwise'",
        ),
        # names
        (CASE.replace("target =", '"../target" ='), "file '../target': expected a name of small letters"),
        (CASE.replace("target =", '"/etc/passwd" ='), "file '/etc/passwd': expected a name of small letters"),
        (CASE.replace("target =", "zero ="), "file 'zero': 'zero' means something else"),
        (CASE.replace("target =", "step1 ="), "file 'step1': 'step1' means something else"),
        (step('do = "fsync"\nfile = "tarjet"'), "step 2, key 'file': unknown descriptor 'tarjet'. Did you mean"),
        (step('do = "rename"\nfile = "t"'), "step 2, key 'file': unknown file 't'"),
        (step('do = "store"\nmap = "view"'), "step 2, key 'map': unknown mapping 'view'"),
        (step('do = "tamper"\nfield = "ino"'), "step 2, key 'cookie': unknown cookie 'cookie'"),
        (step('do = "exchange"\nvia = "move_ext"\ndonor = "other"'), "step 2, key 'donor': unknown descriptor 'other'"),
        (step('do = "start"\nactor = "writer"'), "step 2, key 'actor': unknown actor 'writer'"),
        (step('do = "open"\nfile = "target"\nname = "donor"'), "there is a descriptor 'donor' already"),
        (step('do = "open"\nfile = "target"\nname = "../x"'), "key 'name': expected a name of small letters"),
        (
            step(OPEN + '[[steps]]\ndo="cycle"\n[[steps]]\ndo="close"\nfile="two"'),
            "step 4, key 'file': unknown descriptor 'two'",
        ),
        (
            step('do = "close"\nfile = "target"\n[[steps]]\ndo = "fsync"\nfile = "target"'),
            "step 3, key 'file': unknown descriptor 'target'",
        ),
        (
            step(MAP + '[[steps]]\ndo="unmap"\nmap="view"\n[[steps]]\ndo="load"\nmap="view"'),
            "step 4, key 'map': unknown mapping 'view'",
        ),
        # files
        (CASE.replace('"data:16b"', '"date:16b"', 1), "file 'target': expected KIND:LENGTH"),
        (CASE.replace('"data:16b"', '"data:0b"', 1), "file 'target': expected a length above 0, found 'data:0b'"),
        (CASE.replace('"data:16b"', "16", 1), "file 'target': expected a layout such as \"data:16b\""),
        (CASE.replace('"data:16b"', '"data:100"', 1), "file 'target': expected data in multiples of 4096 bytes (1b)"),
        (CASE.replace('"data:16b"', '"comb:15b"', 1), "file 'target': expected comb in multiples of 8192 bytes (2b)"),
        (CASE.replace('"data:16b"', '{ layout = "data:1b", tail = "1b" }', 1), "key 'tail': expected less than"),
        (CASE.replace('"data:16b"', '{ layout = "data:1b", colour = 1 }', 1), "file 'target': unknown key 'colour'"),
        (CASE.replace('"data:16b"', '{ layout = "data:1b", flags = ["x"] }', 1), "key 'flags[0]': expected one of"),
        (CASE.replace('"data:16b"', '{ layout = "data:1b", mode = "9" }', 1), "expected permissions as octal text"),
        (CASE.replace('"data:16b"', '{ layout = "data:1b", fragments = 2 }', 1), "key 'fragments': expected at most 1"),
        (CASE.replace('"data:16b"', '"data:257m"', 1), "[files]: expected at most 256 MiB in all, found 257.1 MiB"),
        (CASE.replace('"data:16b"', '"hole:99999m"', 1), "[files]: expected at most 256 MiB in all"),
        # calls
        (step("file = 'target'"), "step 2: the key 'do' is missing"),
        (step('do = "wriet"'), "step 2, key 'do': unknown call 'wriet'. Did you mean write?"),
        (step('do = "write"\nfile = "target"\nrnage = "0+1b"'), "step 2: unknown key of 'write': 'rnage'. Did you"),
        (step('do = "write"'), "step 2: the key 'file' is missing"),
        (step('do = "write"\nfile = "target"\nrange = "0"'), "step 2, key 'range': expected a range FIRST+COUNT"),
        (step('do = "write"\nfile = "target"\nrange = 3'), "step 2, key 'range': expected a range such as"),
        (step('do = "write"\nfile = "target"\nrange = { offset = 0, length = 1 }'), "key 'range': expected a value"),
        (step('do = "write"\nfile = "target"\nrange = "4b-5b+1"'), "expected a quantity between 0 and 2^63-1"),
        (step('do = "write"\nfile = "target"\nrange = "4b+1b-2b"'), "expected a quantity between 0 and 2^63-1"),
        (step('do = "write"\nfile = "target"\nbytes = "other"'), "step 2, key 'bytes': expected one of different"),
        (step('do = "write"\nfile = "target"\ndirect = 1'), "step 2, key 'direct': expected true or false, found 1"),
        (step('do = "provoke"\nwhat = "panic"'), "the call 'provoke' is for the suite's own tests only"),
        # limits
        (step('do = "write"\nfile = "target"\nrange = "255m+2m"'), "expected a range in the first 256 MiB"),
        (step('do = "truncate"\nfile = "target"\nsize = "1025m"'), "key 'size': expected from 0 to 256 MiB"),
        (step('do = "swap_load"\nmemory = "257m"\nlimit = "8m"'), "key 'memory': expected from 0 to 256 MiB"),
        (step('do = "swap_load"\nmemory = "1m"\nlimit = "8m"\npasses = 9999'), "key 'passes': expected from 0 to 1000"),
        (step('do = "mkswap"\nfile = "target"\npages = 999999999'), "key 'pages': expected from 0 to 262144"),
        (step(MAP + 'range = "1bytes+1p"'), "key 'range': expected a multiple of a page"),
        (CASE + "[[steps]]\ndo = 'sync'\n" * 500, "expected at most 500 steps, found 501"),
        # expectations
        (step('do = "sync"\nexpect = "EBUZY"'), "step 2, key 'expect': unknown result 'EBUZY'. Did you mean EBUSY"),
        (step('do = "sync"\nexpect = "ENOTSUP"'), "key 'expect': ENOTSUP is another name of EOPNOTSUPP; write that"),
        (step('do = "sync"\nexpect = "NOFIELD"'), "key 'expect': unknown result 'NOFIELD'"),
        (step('do = "sync"\nexpect = 5'), "key 'expect': unknown result '5'"),
        (step('do = "sync"\nexpect = []'), "key 'expect': expected at least one result, found none"),
        (step('do = "sync"\nexpect = ["any", "OK"]'), "key 'expect': \"any\" stands alone"),
        (step('do = "sync"\nreturns = { moved = 1 }'), "key 'returns.moved': unknown number answered by 'sync'"),
        (step('do = "sync"\nreturns = 5'), "key 'returns': expected a table of numbers, found 5"),
        (step('do="exchange"\nvia="move_ext"\nat_least={ moved = "x" }'), "key 'at_least.moved': expected a quantity"),
        (step('do = "sync"\ntransactions = "few"'), "step 2, key 'transactions': expected one of any, none, some"),
        (step('do = "sync"\nsame_tick = 1'), "step 2, key 'same_tick': expected true or false"),
        (step('do = "sync"\nsees = "target"'), "key 'sees': only a read or a load sees something, this is 'sync'"),
        (step('do = "read"\nfile = "target"\nsees = []'), "key 'sees': expected at least one alternative"),
        (step('do = "read"\nfile = "target"\nsees = 5'), "key 'sees': expected pieces such as"),
        (step('do = "read"\nfile = "target"\nsees = "tarjet"'), "key 'sees': unknown source 'tarjet'. Did you"),
        (step('do = "read"\nfile = "target"\nsees = "step9:0+1b"'), "key 'sees': expected a step of this trial"),
        (step('do = "read"\nfile = "target"\nsees = "step1:0+1b"'), "found 'step1', which is 'exchange'"),
        # claims
        (step('do = "sync"\nthen = 5'), "step 2, key 'then': expected a table of file = claim, found 5"),
        (step('do = "sync"\nthen.tarjet = "unchanged"'), "key 'then.tarjet': unknown file 'tarjet'"),
        (step('do = "sync"\nthen.target = "unchanged since step 1"'), "is compared with just before the step"),
        (step('do = "sync"\nthen.target = { since = 1 }'), "since: a claim in `then` is compared with"),
        (CASE + "[after]\ntarget = 'same'\n", "[after], file 'target': expected \"unchanged\", \"unchanged since"),
        (CASE + "[after]\ntarget = 5\n", "[after], file 'target': expected \"unchanged\" or a table, found 5"),
        (CASE + "[after]\ntarget = {}\n", "expected a claim, found an empty table"),
        (CASE + "[after]\ntarget = []\n", "expected a claim, found an empty list"),
        (CASE + "[after]\ntarjet = 'unchanged'\n", "unknown file 'tarjet'. Did you mean target"),
        (CASE + "[after]\ntarget = { seize = 1 }\n", "unknown key of a claim 'seize'. Did you mean"),
        (CASE + "[after]\ntarget = { size = 'x' }\n", "size: expected \"unchanged\", \"changed\" or a quantity"),
        (CASE + "[after]\ntarget = { mtime = 'same' }\n", "mtime: expected one of changed, unchanged; found 'same'"),
        (CASE + "[after]\ntarget = { links = -1 }\n", "links: expected a number from 0 on, found -1"),
        (CASE + "[after]\ntarget = { mode = 384 }\n", "mode: expected permissions as octal text"),
        (CASE + "[after]\ntarget = { content = 'doner' }\n", "content: unknown content 'doner'. Did you mean donor?"),
        (CASE + "[after]\ntarget = { content = 5 }\n", "content: expected text, found 5"),
        (CASE + "[after]\ntarget = { content = [] }\n", "content: expected at least one alternative"),
        (CASE + "[after]\ntarget = { content = 'doner:0+1b' }\n", "unknown source 'doner'. Did you mean donor?"),
        (CASE + "[after]\ntarget = { extents = 'of doner' }\n", "extents: unknown file 'doner'. Did you mean donor?"),
        (CASE + "[after]\ntarget = { extents = 'same' }\n", "extents: expected \"unchanged\", \"changed\""),
        (CASE + "[after]\ntarget = { since = 'x' }\n", "since: expected the number of a step"),
        (CASE + "[after]\ntarget = 'unchanged since step 9'\n", "since step 9: the case has the steps 1 to 1"),
        (CASE + "[after]\ntarget = 'unchanged since step 1'\n", "since step 1: nothing is done after it"),
        # witness and owners
        (CASE + "[witness]\nextent = { target = 3 }\n", "[witness], key 'extent': unknown key"),
        (CASE + "[witness]\nextents = { tarjet = 3 }\n", "[witness], key 'extents': unknown file 'tarjet'"),
        (CASE + "[witness]\ndelalloc = ['tarjet']\n", "[witness], key 'delalloc': unknown file 'tarjet'"),
        (CASE + "[witness]\noverlap = { writer = 1 }\n", "[witness], key 'overlap': unknown actor 'writer'"),
        ('owners = ["tarjet"]\n' + CASE, "key 'owners': unknown file 'tarjet'"),
        ('owners = "target"\n' + CASE, "key 'owners': expected a list of files, found 'target'"),
        # actors
        (CASE + ACTOR.replace('name = "writer"', 'name = "donor"'), "actor 'donor': the name 'donor' is taken already"),
        (CASE + ACTOR.replace('name = "writer"', "name = 5"), "actor 1, key 'name': expected a name, found 5"),
        (CASE + ACTOR.replace('name = "writer"', 'name = "a/b"'), "actor 'a/b': expected a name of small letters"),
        (CASE + ACTOR.replace("loop = true", "loop = 1"), "actor 'writer', key 'loop': expected true or false"),
        (CASE + ACTOR.replace("loop = true", "often = 1"), "actor 'writer': unknown key 'often'"),
        (CASE + ACTOR.partition("[[actors.steps]]")[0], "actor 'writer', key 'steps': expected at least one step"),
        (CASE + ACTOR + "then.target = 'unchanged'\n", "actor 'writer', step 1, key 'then': a step of an actor cannot"),
        (CASE + ACTOR.replace('do = "write"\nfile = "target"', 'do = "cycle"'), "cannot make the call 'cycle'"),
        (CASE + "[[actors]]" + ACTOR.partition("[[actors]]")[2], "actor 'writer': is never started"),
        (CASE + ACTOR.replace('do = "stop"', 'do = "blocked"'), "actor 'writer': loops and is never stopped"),
        (CASE + ACTOR.replace('do = "stop"', 'do = "start"'), "the actor 'writer' is started twice"),
        (
            CASE + ACTOR.replace('do = "write"', 'do = "open"\nname = "more"'),
            "actor 'writer': expected a pass to close what it opens",
        ),
    ],
)  # fmt: skip
def test_error(tmp_path: Path, case: str, expected: str) -> None:
    found = errors(tmp_path, case)
    assert any(expected in error for error in found), "\n".join(found) or "no error was found"
    assert all(error.startswith("area/case.toml") for error in found)


def test_all_errors_of_a_case_are_told_together(tmp_path: Path) -> None:
    case = 'tags = ["quik"]\n' + step('do = "wriet"') + "[[steps]]\ndo = 'sync'\nwhen = 'x'\n"
    assert len(errors(tmp_path, case)) == 3
    built = step('do = "fsync"\nfile = "x"') + '[[steps]]\ndo = "sync"\nexpect = "E"\n[after]\ny = "unchanged"\n'
    assert len(errors(tmp_path, built)) == 3


def test_an_error_of_one_trial_names_it(tmp_path: Path) -> None:
    case = HEAD + MATRIX.replace("swapext", "mov_ext") + STEPS.replace('"move_ext"', '"{via}"')
    right, broken = planned(corpus(tmp_path, case))
    assert right.trial().name == "area/case[via=move_ext]@fs:big"
    with pytest.raises(Exception, match=r"step 1, key 'via': expected one of .*\(in \[via=mov_ext\]@fs:big\)"):
        broken.trial()


def test_all_errors_of_a_corpus_are_told_together(tmp_path: Path) -> None:
    loaded = corpus(
        tmp_path,
        area__other=CASE.replace("TEST-1", "TEST-9"),
        area__broken="rule =",
        rules__more=RULE,
        targets__broken="title = 5",
        known__broken="[[known]]\n",
    )
    assert len(loaded.errors) == 5
    assert list(loaded.cases) == ["area/case"]
    with pytest.raises(Exception, match=r"area/other\.toml") as found:
        loaded.require()
    assert len(str(found.value).splitlines()) == 5


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (RULE + RULE, "the id TEST-1 is taken by"),
        (RULE.replace("TEST-1", "test 1"), "key 'id': expected an id such as COOKIE-2, found 'test 1'"),
        (RULE.replace("MUST", "WILL"), "key 'level': expected one of MAY, MUST, SHOULD; found 'WILL'"),
        (RULE.replace('"Something must hold."', '""'), "key 'sentence': expected a sentence, found nothing"),
        (RULE.replace("source =", "sauce ="), "unknown key"),
        (RULE.replace("source", "# source"), "the key 'source' is missing"),
        (RULE.replace("[[rules]]", "[rules]"), "expected tables under [[rules]]"),
        ("[[rule]]\n", "unknown key 'rule'. Did you mean rules?"),
        ("x = \n", "line 1: not TOML"),
    ],
)
def test_errors_of_rules(tmp_path: Path, rule: str, expected: str) -> None:
    loaded = load([write(tmp_path, rules__test=rule)])
    assert any(expected in str(error) for error in loaded.errors), loaded.errors


def test_a_link_out_of_the_corpus_is_refused(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", secret=CASE) / "secret.toml"
    root = write(tmp_path / "root", rules__test=RULE)
    (root / "case.toml").symlink_to(outside)
    (root / "inside.toml").symlink_to(root / "rules" / "test.toml")
    found = [str(error) for error in load([root]).errors]
    assert any(f"is a link to {outside}, outside" in error for error in found)
    assert not any("is a link" in error for error in found if "inside.toml" in error)


def test_a_link_to_a_folder_out_of_the_corpus_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside", secret=CASE)
    root = write(tmp_path / "root", rules__test=RULE)
    (root / "area").symlink_to(tmp_path / "outside")
    loaded = load([root])
    assert not loaded.cases


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    assert errors(tmp_path, CASE + "#" * (1 << 20))[0].startswith("area/case.toml: expected at most 1048576 bytes")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, rules__test=RULE)
    (tmp_path / "case.toml").write_bytes(b"rule = '\xff'")
    assert "expected text in UTF-8, found the byte 0xff" in str(load([tmp_path]).errors[0])


def test_a_path_that_cannot_name_a_trial_is_refused(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, rules__test=RULE, **{"My Case": CASE})])
    assert "expected a path of small letters, digits and _, found 'My Case'" in str(loaded.errors[0])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "expected a folder with cases, found none" in str(load([tmp_path / "none"]).errors[0])


def test_a_corpus_of_ones_own_uses_the_rules_of_the_first(tmp_path: Path) -> None:
    first = write(tmp_path / "first", rules__test=RULE, area__case=CASE)
    own = write(tmp_path / "own", mine__case=CASE, area__case=CASE)
    loaded = load([first, own])
    assert sorted(loaded.cases) == ["area/case", "mine/case"]
    assert "the name area/case is taken by" in str(loaded.errors[0])


def test_calls_for_tests_need_the_suites_own_corpus(tmp_path: Path) -> None:
    assert errors(tmp_path, step('do = "provoke"\nwhat = "panic"'), tests_only=True) == []
