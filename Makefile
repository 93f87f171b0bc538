# The commands for people; `make help` lists them. All begin with `make setup`, which does only what is missing.

FS = ext4
KERNEL =
MACHINE =
ARGS =
PYTHON = python3

VENV = .venv/bin
ALL_FS = ext4,xfs,btrfs
OPTIONS = $(if $(KERNEL),--kernel=$(KERNEL)) $(if $(MACHINE),--machine=$(MACHINE)) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup run test full bench lint types imports clean

help: ## this list
	@echo "make TARGET [VARIABLE=VALUE ...]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-12s%s\n", $$1, $$2}'
	@echo
	@echo "Variables of run and full:"
	@echo "  FS=$(FS)        file systems under test: ext4, xfs:rmapbt0, ext4,xfs,btrfs, ./ours.toml"
	@echo "  KERNEL=NAME    a kernel of vm-images/kernels.toml, or the path of one"
	@echo "  MACHINE=NAME   what runs it, where the kernel leaves a choice"
	@echo "  ARGS=...       further options of pytest, such as ARGS='-k swapon --repeat 10'"

setup: ## install what is missing: Debian packages, .venv, kernels and guest images
	@PYTHON=$(PYTHON) scripts/setup

run: setup ## judge a kernel: make run FS=ext4 KERNEL=uml-6.1 MACHINE=uml
	$(VENV)/pytest --fs=$(FS) $(OPTIONS)

test: setup lint types imports ## check the suite itself: lint, types, imports, unit and end-to-end tests
	$(VENV)/pytest tests $(ARGS)

full: test ## make test, then every trial on every file system
	$(VENV)/pytest --fs=$(ALL_FS) $(OPTIONS)

lint: setup
	$(VENV)/ruff check --quiet .

types: setup
	$(VENV)/mypy --no-error-summary

imports: setup
	$(VENV)/lint-imports --no-logo

clean: ## remove what setup and the tools made in this directory (the cache of images stays)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info

bench: setup ## measure what docs/measurements.md tells: boot, trials, warm start, collection
	$(VENV)/python -m tests.benchmarks.bench
