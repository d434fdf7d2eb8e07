# Everything lives in .venv; a stamp in it says what has been installed, so that a second call is fast.
# The interpreter: any Python from 3.11 on; choose one with `make PYTHON=python3.12 ...` (then remove .venv first).

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# A later torch pulls gigabytes of CUDA wheels.
TORCH := torch==2.13.0
SOURCES := houseband.py daemon export models music tests
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list what can be made
	@echo 'make studio  the music studio, in the browser'
	@echo 'make jam     the band plays along with a melody in this terminal (under a minute)'
	@echo 'make test    install what the tests need and run all of them'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: jam
jam: $(VENV)/.runtime ## install the runtime (no torch) and play; pass options with ARGS="..."
	@$(BIN)/houseband jam $(ARGS)

.PHONY: studio
studio: $(VENV)/.studio ## open the music studio in the browser: play, see, edit, hear, compare; pass options with ARGS="..."
	@$(BIN)/houseband studio $(ARGS)

.PHONY: install
install: $(VENV)/.runtime ## install the runtime only: .venv/bin/houseband

.PHONY: develop
develop: $(VENV)/.develop ## install what training, tests and linting need

.PHONY: test
test: $(VENV)/.develop ## run every test; pass pytest's options with ARGS="..."
	@$(BIN)/python -m pytest --ignore tests/browser --numprocesses auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile $(ARGS)

.PHONY: test-browser
test-browser: $(VENV)/.develop ## try the studio's page in Chromium (Debian's chromium); pass pytest's options with ARGS="..."
	@$(BIN)/python -m pytest tests/browser $(ARGS)

.PHONY: lint
lint: $(VENV)/.develop ## ruff and mypy (strict)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(SOURCES)

.PHONY: bench-jack
bench-jack: $(VENV)/.develop ## measure timing through a JACK server (needs jackd2), as JSON; options with ARGS="..."
	@$(BIN)/python -m tests.programs.jack.bench $(ARGS)

.PHONY: bench-hands
bench-hands: $(VENV)/.develop ## steps until the bass follows a left hand, through a JACK server (needs jackd2), as JSON; options with ARGS="..."
	@$(BIN)/python -m tests.programs.jack.hands $(ARGS)

.PHONY: bench-loop
bench-loop: $(VENV)/.develop ## the loop that the AR-CNN edits, through a JACK server (needs jackd2), as JSON; options with ARGS="..."
	@$(BIN)/python -m tests.programs.jack.loop $(ARGS)

.PHONY: bench-studio
bench-studio: $(VENV)/.develop ## start, keys, frames of the studio, and what it costs the band, as JSON (needs Debian's chromium)
	@$(BIN)/python -m tests.programs.studio_bench $(ARGS)

.PHONY: plugin
plugin: $(VENV)/.runtime ## build the plugins for DAWs (LV2 and CLAP; needs a C compiler) into build/plugin
	@$(BIN)/python -c "from pathlib import Path; from daemon.plugin import bundles; print(*bundles.build(Path('build/plugin'), ''), sep='\n')"

.PHONY: plugin-hour
plugin-hour: $(VENV)/.develop ## a simulated hour of the plugin in a host of ours, as JSON (minutes); ARGS="--seconds 600"
	@$(BIN)/python -m tests.programs.plugin_hour $(ARGS)

.PHONY: test-vm
test-vm: $(VENV)/.develop ## the service on a real systemd and ALSA, in QEMU (Debian's qemu-system-x86, debootstrap, e2fsprogs)
	@$(BIN)/python -m tests.programs.vm

.PHONY: idle
idle: $(VENV)/.develop ## start, memory and processor of the service that idles for ten minutes, as JSON (needs jackd2)
	@$(BIN)/python -m tests.programs.jack.idle $(ARGS)

.PHONY: daw
daw: $(VENV)/.develop ## scenes with Ardour as clock master (needs ../shared/tools/daw and Debian's ardour, jackd2, jack-tools)
	@$(BIN)/python -m tests.programs.daw.scenes $(ARGS)

.PHONY: plugin-daw
plugin-daw: $(VENV)/.develop ## scenes with the plugin in Ardour (needs ../shared/tools/daw, Debian's ardour, lv2-dev, gcc); ARGS="loop"
	@$(BIN)/python -m tests.programs.daw.plugin $(ARGS)

.PHONY: faults
faults: $(VENV)/.develop ## jackd killed, DAW closed, clock gone, worker hung, ... on a real JACK server; ARGS="server --output jack"
	@$(BIN)/python -m tests.programs.jack.faults $(ARGS)

.PHONY: ends
ends: $(VENV)/.develop ## keys left on by SIGTERM, kill -9 and xruns under load, as JSON (needs jackd2; minutes); ARGS="term --output jack"
	@$(BIN)/python -m tests.programs.jack.ends $(ARGS)

.PHONY: hour
hour: $(VENV)/.develop ## a simulated hour at 300 bpm: every step in time
	@$(BIN)/python -m tests.programs.virtual_hour $(ARGS)
	@$(BIN)/python -m tests.programs.virtual_hour --clock midi $(ARGS)

.PHONY: endurance
endurance: $(VENV)/.develop ## ten real minutes at 180 bpm through JACK while a process keeps every core busy
	@$(BIN)/python -m tests.programs.jack.endurance $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.develop ## hostile MIDI, files, graphs, socket, configuration, studio: a minute each, as JSON; ARGS="--seconds 600 --seed 1"
	@failed=; for each in tests/programs/fuzz_*.py; do \
		name=$$(basename $$each .py); echo "$$name:"; $(BIN)/python -m tests.programs.$$name $(ARGS) || failed="$$failed $$name"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

.PHONY: judge-takes
judge-takes: $(VENV)/.develop ## kill -9 in the middle of 100 takes: what is lost, as JSON (minutes)
	@$(BIN)/python -m tests.programs.killed_takes $(ARGS)

.PHONY: judge-audio
judge-audio: $(VENV)/.develop ## record what --audio plays on a JACK server (needs jackd2 and the extras audio, jack)
	@$(BIN)/python -m tests.programs.jack.heard $(ARGS)

.PHONY: judge-belonging
judge-belonging: $(VENV)/.develop ## how often the band's part is ranked first of 32 for its melody (needs ../shared/data)
	@$(BIN)/python -m tests.programs.judges belonging $(ARGS)

.PHONY: judge-styles
judge-styles: $(VENV)/.develop ## how well a classifier tells the band's styles apart, bar by bar (needs ../shared/data)
	@$(BIN)/python -m tests.programs.judges styles $(ARGS)

.PHONY: judge-critic
judge-critic: $(VENV)/.develop ## how often a critic tells the band's four bars from people's (needs ../shared/data; ARGS="--graph FILE.onnx")
	@$(BIN)/python -m tests.programs.judges critic $(ARGS)

.PHONY: ablation
ablation: $(VENV)/.develop ## what each idea of the GAN brings: trains variants, an hour of a core; ARGS="--cache FILE.npz"
	@$(BIN)/python -m tests.programs.ablation $(ARGS)

.PHONY: judge-edits
judge-edits: $(VENV)/.develop ## what the AR-CNN's edits are worth on chorales, as JSON (needs ../shared/data; ARGS="--data DIR")
	@$(BIN)/python -m tests.programs.judge_edits $(ARGS)

.PHONY: judge-feel
judge-feel: $(VENV)/.develop ## how the band's drummer hits, beside people's histograms, as JSON (needs ../shared/data; ARGS="--pictures DIR")
	@$(BIN)/python -m tests.programs.judge_feel $(ARGS)

.PHONY: vendor
vendor: $(VENV)/.develop ## fetch the libraries of the studio's page again, in the versions that are pinned (needs npm)
	@$(BIN)/python -m tests.programs.vendor

.PHONY: format
format: $(VENV)/.develop ## let ruff lay out the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: wheel
wheel: $(VENV)/.develop ## build dist/*.whl and dist/*.tar.gz
	@$(BIN)/python -m build

.PHONY: release-check
release-check: $(VENV)/.develop ## version, changelog, wheel, clean installation: can this checkout be released?
	@$(BIN)/python -m tests.programs.release_check

.PHONY: clean
clean: ## remove the virtual environment, caches and builds (not runs/, not takes)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) systemd -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.runtime: pyproject.toml | $(BIN)/pip
	@echo 'Installing the runtime into $(VENV) ...' >&2
	@$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.studio: pyproject.toml | $(BIN)/pip
	@echo 'Installing the runtime and the studio into $(VENV) ...' >&2
	@$(PIP) install --quiet --editable '.[studio]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.develop: pyproject.toml | $(BIN)/pip
	@echo 'Installing what training, tests and linting need into $(VENV) ...' >&2
	@$(PIP) install --quiet '$(TORCH)' --editable '.[train,torch,dev]'
	@touch $@ $(VENV)/.runtime $(VENV)/.studio

$(BIN)/pip:
	@if [ -z '$(PYTHON)' ]; then \
		echo 'houseband needs Python 3.11 or later, and none was found: install it, or name it with PYTHON=/path/to/python3.11.' >&2; \
		exit 2; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python ($(PYTHON)) cannot make virtual environments: install its venv package (Debian and Ubuntu: python3-venv).' >&2; \
		exit 2; }
	@$(PYTHON) -m venv $(VENV)
