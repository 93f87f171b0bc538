"""Builds a trial from a case and a setting, and checks all that could not be checked before.

All errors of a trial are collected; each names the file, the step and the key.
"""

from __future__ import annotations

import re
from dataclasses import replace

from conformance.corpus.cases import Case, call_errors
from conformance.corpus.claims import ClaimReader
from conformance.corpus.conditions import Setting, describe_setting, parse_condition, resolve
from conformance.corpus.files import Table, typed
from conformance.corpus.filespecs import file_spec
from conformance.corpus.limits import excesses, mib
from conformance.corpus.names import Names
from conformance.corpus.quantities import LAST, PLACELESS, pieces, quantity, span
from conformance.corpus.rules import Rule
from conformance.corpus.vocabulary import check_result, numbers_of
from conformance.corpus.words import ACTOR_STEP_WORDS, MAX_FILES, STEP_WORDS
from conformance.errors import CorpusError, CorpusErrors, unknown_name
from conformance.model.codec import DecodeError, Parser, decode, describe
from conformance.model.trial import Actor, Claim, Piece, Step, Trial, Witness
from kernel.calls import Call, Load, Read, Shutdown, Start, Stop
from kernel.setup import FileSpec
from kernel.units import Bytes, Span

_STEP_SOURCE = re.compile(r"step(\d+)")


def build(case: Case, rule: Rule, setting: Setting, name: str) -> Trial:
    """The trial; raises CorpusErrors with all that is wrong with it."""
    return _Builder(case, setting).trial(rule, name)


class _Builder:
    """One trial in the making."""

    def __init__(self, case: Case, setting: Setting) -> None:
        self.case, self.setting = case, setting
        self.block = setting.variant.system.block
        self.errors: list[CorpusError] = []
        self.parse: dict[object, Parser] = {
            Bytes: lambda value: quantity(value, self.block),
            Span: lambda value: span(value, self.block),
        }
        self.files: dict[str, FileSpec] = {}
        self.calls: dict[int, Call] = {}
        self.numbers = self._numbers()
        self.actors = {str(actor["name"]): actor for actor in case.actors}
        self.made: dict[str, Actor] = {}
        self.names = Names((), ())
        self.claims = ClaimReader(self.block, self.files, self._moment, self._source)

    def fail(self, where: str, problem: str) -> None:
        """Takes note of an error."""
        self.errors.append(CorpusError(f"{self.case.where}: {where}", problem))

    def trial(self, rule: Rule, name: str) -> Trial:
        """All of it."""
        for file, value in self.case.files.items():
            self._file(file, value)
        self._limit_files()
        self.names = Names(self.files, self.actors)
        steps = tuple(
            step
            for number in self.numbers
            if (step := self._step(number, self.case.steps[number - 1], self.names, f"step {number}", "")) is not None
        )
        for actor in self.actors:
            if actor not in self.made:
                self.fail(f"actor {actor!r}", 'is never started; add a step with do = "start"')
        after = tuple(claim for file, value in self.case.after.items() for claim in self._after(file, value))
        witness = self._witness()
        owners = self._owners()
        if self.errors:
            place = describe_setting(self.setting)
            raise CorpusErrors([CorpusError(item.where, f"{item.problem} (in {place})") for item in self.errors])
        head = self.case.head
        return Trial(
            name=name,
            case=self.case.name,
            title=head.title,
            rule=rule.text(),
            target=self.setting.variant.name,
            system=self.setting.variant.system,
            files=tuple(self.files.values()),
            steps=steps,
            after=after,
            actors=tuple(self.made.values()),
            witness=witness,
            owners=owners,
            crash=any(isinstance(step.call, Shutdown) for step in steps),
            slow="slow" in head.tags,
            seconds=head.seconds,
            salt=name,
        )

    # --- moments and sources --------------------------------------------------------------------

    def _numbers(self) -> list[int]:
        """The numbers of the steps that are part of this trial."""
        return [number for number, step in enumerate(self.case.steps, 1) if self._wanted(step)]

    def _wanted(self, step: Table) -> bool:
        when = step.get("when")
        return when is None or self.setting.holds(parse_condition(str(when)))

    def _moment(self, step: int) -> int:
        """The moment just after a step, as a claim has it: just before the next one."""
        if not 1 <= step <= len(self.case.steps):
            raise ValueError(f"since step {step}: the case has the steps 1 to {len(self.case.steps)}")
        if step not in self.numbers:
            raise ValueError(f"since step {step}: that step is not part of this trial")
        later = [number for number in self.numbers if number > step]
        if not later:
            raise ValueError(f"since step {step}: nothing is done after it, so there is nothing to compare")
        return later[0]

    def _source(self, source: str) -> None:
        if source.endswith(LAST):
            if source.removesuffix(LAST) not in self.actors:
                raise ValueError(unknown_name("actor", source.removesuffix(LAST), self.actors))
            return
        found = _STEP_SOURCE.fullmatch(source)
        if found is not None:
            number = int(found[1])
            if number not in self.numbers:
                raise ValueError(f"expected a step of this trial that writes, found {source!r}")
            call = self.calls.get(number)
            if call is not None and not hasattr(call, "bytes"):
                raise ValueError(f"expected a step that writes, found {source!r}, which is {call.do!r}")
        elif source not in self.files and source not in self.actors:
            raise ValueError(unknown_name("source", source, [*self.files, *self.actors, *PLACELESS, "stepN"]))

    # --- files ----------------------------------------------------------------------------------

    def _file(self, name: str, value: object) -> None:
        where = f"file {name!r}"
        try:
            plain = resolve(value, self.setting, f"{self.case.where}: {where}")
            self.files[name] = file_spec(name, plain, self.block)
        except CorpusError as error:
            self.errors.append(error)
        except DecodeError as error:
            self.fail(f"{where}, key {error.path!r}", error.problem)
        except ValueError as error:
            self.fail(where, str(error))

    def _limit_files(self) -> None:
        total = sum(spec.size + spec.beyond_eof for spec in self.files.values())
        if total > MAX_FILES:
            self.fail("[files]", f"expected at most {MAX_FILES >> 20} MiB in all, found {mib(total)}")

    # --- steps ----------------------------------------------------------------------------------

    def _step(self, number: int, raw: Table, names: Names, where: str, actor: str) -> Step | None:
        """One step; None when it is not right, which is noted."""
        before = len(self.errors)
        plain: Table = {}
        for key, value in raw.items():
            try:
                plain[key] = resolve(value, self.setting, f"{self.case.where}: {where}, key {key!r}")
            except CorpusError as error:
                self.errors.append(error)
        if len(self.errors) > before:
            return None
        call = self._call(plain, names, where, actor)
        if call is None:
            return None
        if not actor:
            self.calls[number] = call
        step = Step(
            number,
            call,
            self._expect(call, plain, where),
            self._answers(call, plain, "returns", where),
            self._answers(call, plain, "at_least", where),
            self._sees(call, plain, names, where),
        )
        if isinstance(call, Start):
            self._start(call.actor, names, where)
        if actor:
            return step
        simple = {key: plain[key] for key in ("transactions", "same_tick") if key in plain}
        try:
            checked = decode(Step, {"number": number, "call": {"do": "sync"}} | simple)
        except DecodeError as error:
            self.fail(f"{where}, key {error.path!r}", error.problem)
            return None
        return replace(
            step, transactions=checked.transactions, same_tick=checked.same_tick, then=self._then(plain, number, where)
        )

    def _call(self, plain: Table, names: Names, where: str, actor: str) -> Call | None:
        place = f"{self.case.where}: {where}"
        words = set(STEP_WORDS) if not actor else set(ACTOR_STEP_WORDS)
        fields = {key: item for key, item in plain.items() if key not in words or key == "do"}
        found = list(call_errors(str(plain["do"]), set(fields) - {"do"}, place, True, actor=bool(actor)))
        for key, item in fields.items():
            if isinstance(item, dict):
                found.append(CorpusError(f"{place}, key {key!r}", f"expected a value, found {describe(item)}"))
        if found:
            self.errors += found
            return None
        try:
            call = decode(Call, fields, parse=self.parse)
        except DecodeError as error:
            self.fail(f"{where}, key {error.path!r}" if error.path else where, error.problem)
            return None
        for field, problem in names.use(call):
            self.fail(f"{where}, key {field!r}", problem)
        for field, problem in excesses(call):
            self.fail(f"{where}, key {field!r}", problem)
        return call

    def _expect(self, call: Call, plain: Table, where: str) -> tuple[str, ...]:
        value = plain.get("expect", "OK")
        listed = value if isinstance(value, list) else [value]
        try:
            if not listed:
                raise ValueError("expected at least one result, found none")
            results = tuple(check_result(call.do, item) for item in listed)
            if "any" in results and len(results) > 1:
                raise ValueError('"any" stands alone')
            return results
        except ValueError as error:
            self.fail(f"{where}, key 'expect'", str(error))
            return ()

    def _answers(self, call: Call, plain: Table, key: str, where: str) -> dict[str, int]:
        table = plain.get(key, {})
        numbers: dict[str, int] = {}
        known = numbers_of(call.do)
        if not isinstance(table, dict):
            self.fail(f"{where}, key {key!r}", f"expected a table of numbers, found {describe(table)}")
            return numbers
        for name, value in table.items():
            try:
                if name not in known:
                    raise ValueError(unknown_name(f"number answered by {call.do!r}:", name, known))
                numbers[name] = quantity(value, self.block)
            except ValueError as error:
                self.fail(f"{where}, key '{key}.{name}'", str(error))
        return numbers

    def _sees(self, call: Call, plain: Table, names: Names, where: str) -> tuple[tuple[Piece, ...], ...]:
        if "sees" not in plain:
            return ()
        value = plain["sees"]
        try:
            if not isinstance(call, (Read, Load)):
                raise ValueError(f"only a read or a load sees something, this is {call.do!r}")
            listed = value if isinstance(value, list) else [value]
            if not listed:
                raise ValueError("expected at least one alternative, found none")
            return tuple(self._seen(item, call, names) for item in listed)
        except ValueError as error:
            self.fail(f"{where}, key 'sees'", str(error))
            return ()

    def _seen(self, item: object, call: Read | Load, names: Names) -> tuple[Piece, ...]:
        if not isinstance(item, str):
            raise ValueError(f'expected pieces such as "target:0+4b", found {describe(item)}')
        if ":" in item:
            return pieces(item, self.block, self._source)
        if item not in PLACELESS:
            self._source(item)
        behind = names.file_behind(call.file if isinstance(call, Read) else call.map)
        size = self.files[behind].size if behind in self.files else 0
        where = call.range.within(size)
        if where.length <= 0:
            raise ValueError("expected pieces with lengths, because the range that is read has no end")
        return (Piece(item, 0 if item in PLACELESS else where.offset, where.length),)

    def _then(self, plain: Table, number: int, where: str) -> tuple[Claim, ...]:
        table = plain.get("then", {})
        if not isinstance(table, dict):
            self.fail(f"{where}, key 'then'", f"expected a table of file = claim, found {describe(table)}")
            return ()
        found: list[Claim] = []
        for file, value in table.items():
            try:
                found += self.claims.read(file, value, number)
            except ValueError as error:
                self.fail(f"{where}, key 'then.{file}'", str(error))
        return tuple(found)

    def _start(self, name: str, names: Names, where: str) -> None:
        """Makes the actor's steps, with the names that it inherits here."""
        actor = self.actors.get(name)
        if actor is None:
            return
        if name in self.made:
            self.fail(f"{where}, key 'actor'", f"the actor {name!r} is started twice; make it two actors")
            return
        own = names.copy()
        made: list[Step] = []
        raw = actor["steps"]
        assert isinstance(raw, list)
        for number, step in enumerate(raw, 1):
            if self._wanted(step):
                built = self._step(number, step, own, f"actor {name!r}, step {number}", name)
                made += [built] if built is not None else []
        if actor.get("loop") and not own.same_open(names):
            self.fail(f"actor {name!r}", "expected a pass to close what it opens, because its steps are repeated")
        if actor.get("loop") and not self._stopped(name):
            self.fail(f"actor {name!r}", 'loops and is never stopped; add a step with do = "stop"')
        self.made[name] = Actor(name, tuple(made), bool(actor.get("loop", False)))

    def _stopped(self, name: str) -> bool:
        return any(
            resolve(self.case.steps[number - 1].get("do"), self.setting, "") == Stop.do
            and resolve(self.case.steps[number - 1].get("actor"), self.setting, "") == name
            for number in self.numbers
        )

    # --- what must hold in the end --------------------------------------------------------------

    def _after(self, file: str, value: object) -> tuple[Claim, ...]:
        where = f"[after], file {file!r}"
        try:
            return self.claims.read(file, resolve(value, self.setting, f"{self.case.where}: {where}"), None)
        except CorpusError as error:
            self.errors.append(error)
        except ValueError as error:
            self.fail(where, str(error))
        return ()

    def _witness(self) -> Witness:
        where = f"{self.case.where}: [witness]"
        try:
            witness = typed(Witness, resolve(self.case.witness, self.setting, where), where)
        except CorpusError as error:
            self.errors.append(error)
            return Witness()
        for key in ("extents", "fragments", "delalloc", "shared"):
            for file in getattr(witness, key):
                if file not in self.files:
                    self.fail(f"[witness], key {key!r}", unknown_name("file", file, self.files))
        for actor in witness.overlap:
            if actor not in self.actors:
                self.fail("[witness], key 'overlap'", unknown_name("actor", actor, self.actors))
        return witness

    def _owners(self) -> tuple[str, ...]:
        try:
            listed = resolve(self.case.owners, self.setting, f"{self.case.where}, key 'owners'")
        except CorpusError as error:
            self.errors.append(error)
            return ()
        if not isinstance(listed, list):
            self.fail("key 'owners'", f"expected a list of files, found {describe(listed)}")
            return ()
        for file in listed:
            if str(file) not in self.files:
                self.fail("key 'owners'", unknown_name("file", str(file), self.files))
        return tuple(str(file) for file in listed)
