# Each target sets up what it needs. `make help` lists them.

PYTHON ?= python3
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv/peers/.ready

# What the command line of make passes on to Snakemake. A setting of CONFIG begins at a key of config.yaml and may have
# spaces in it; each is quoted, so that the shell reads none of its braces and stars.
SETTING := $(addsuffix =%,scale folder papers extensions leave_out data overrides)
SPACE := $(subst ,, )
QUOTED = '$(subst ','\'',$(1))'
MARKED := $(foreach word,$(subst ','\'',$(CONFIG)),$(if $(filter $(SETTING),$(word)),<setting>)$(word))
GIVEN := $(if $(CONFIG),'$(subst <setting>,,$(subst $(SPACE)<setting>,' ',$(MARKED)))')
SETTINGS := $(strip $(if $(SCALE),$(call QUOTED,scale=$(SCALE))) $(if $(PAPERS),$(call QUOTED,papers=$(PAPERS))) $(GIVEN))
ROBUSTREPRO := $(BIN)/python -m robustrepro
CONFIGURED := $(if $(SETTINGS),--config $(SETTINGS))

# The scale to show or publish: that of the command line; without one, these commands take config.yaml's.
NAMED := $(or $(SCALE),$(patsubst scale=%,%,$(filter scale=%,$(CONFIG))))
NAMED_SCALE := $(if $(NAMED),$(call QUOTED,$(NAMED)))

.DEFAULT_GOAL := help
.PHONY: help setup reproduce dry-run table show verdicts compare publish test lint format docs bench lock

help: ## list the targets
	@echo "make reproduce [SCALE=quick|reduced|paper] [PAPERS=hrm,...] [CONFIG='KEY=VALUE ...'] [JOBS=2]"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  \1\t/' | expand -t 16

setup: $(READY) ## make .venv with every dependency of requirements.lock

# Interrupted set-ups leave no .ready behind and continue from uv's cache.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Python 3.11 or later is needed; %s is %d.%d (set PYTHON=...)" % (sys.executable, *v[:2]))'
	@echo "set-up 1/3: the environment .venv"
	@$(PYTHON) -m venv .venv
	@echo "set-up 2/3: uv"
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.lock
	@echo "set-up 3/3: the dependencies of requirements.lock, compiled (some gigabytes and two minutes the first time)"
	@$(BIN)/uv pip sync --python $(BIN)/python --compile-bytecode --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

reproduce: $(READY) ## regenerate tables, figures, scorecard and report
	@$(ROBUSTREPRO) reproduce --cores $(JOBS) $(CONFIGURED)

dry-run: $(READY) ## say what `make reproduce` would run, why, and how long it would take
	@$(ROBUSTREPRO) dry-run --cores $(JOBS) $(CONFIGURED)

table: $(READY) ## make and print one table: NAME=hrm/table2, as a trial of its own with SEEDS=1, EPOCHS=2
	@$(ROBUSTREPRO) table $(call QUOTED,$(NAME)) --cores $(JOBS) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(EPOCHS),--epochs $(EPOCHS)) $(CONFIGURED)

show: $(READY) ## print the scorecard of SCALE (config.yaml's when not said) and where its report is
	@$(ROBUSTREPRO) show $(NAMED_SCALE)

verdicts: $(READY) ## print every claim once, from the scale that says most about its paper; PAPER=hrm: each with its comparisons; FROM=docs/results: the published ones
	@$(ROBUSTREPRO) verdicts $(if $(FROM),$(call QUOTED,$(FROM))) $(if $(PAPER),--paper $(call QUOTED,$(PAPER))) $(if $(SCALE),--scale $(call QUOTED,$(SCALE)))

# Without A and B, what stood there before the last run and what is there now; A=last~2: before the two runs before it.
compare: $(READY) ## say what changed from A to B: commits, folders, last, last~1 or now (ALL=1 shows all)
	@$(ROBUSTREPRO) compare $(if $(A),$(call QUOTED,$(A))) $(if $(B),$(call QUOTED,$(B))) $(if $(NAMED),--scale $(NAMED_SCALE)) $(if $(ALL),--all)

publish: reproduce ## bring SCALE (config.yaml's when not said) up to date and copy its outcome to docs/results/
	@$(ROBUSTREPRO) publish $(NAMED_SCALE)

test: $(READY) ## run the tests (real data: set ROBUSTREPRO_MIRROR)
	@# No worker takes over from one that crashed: by files, that waits for ever.
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --max-worker-restart 0

lint: $(READY) ## check style, types and rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(READY) ## format sources and rules
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# One notebook looks into results/quick.
docs: $(READY) ## write docs/api.md from the docstrings and run the notebooks, after `make reproduce SCALE=quick`
	@$(BIN)/python docs/write.py

# Beside the environment, not in it: torchattacks pins a requests that the environment's own packages have left behind.
$(PEERS): $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(@D) torchattacks==3.5.1
	@touch $@

bench: $(READY) $(PEERS) ## measure speed beside the peers (minutes)
	for script in objectives.py geometry.py training.py memory.py attacks.py minimal_distance.py weight_perturbation.py verification.py nearest_neighbours.py corruptions.py imagenet.py 'startup.py --full'; do $(BIN)/python benchmarks/$$script || exit 1; done

lock: $(READY) ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra workflow --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --upgrade --quiet --output-file requirements.lock
