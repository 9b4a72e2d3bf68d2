# make demo                the whole way once, on handwritten digits; ends by serving the pages
# make demo PHOTOS=DIR     the same on your photos, one sub-folder a class (wnid or word)
# make demo SERVE=0        ends after the picture
# make test                all tests; as root it installs the Debian packages that they need
# make check               style, types, imports, unit tests
# make bench               side-by-side runs against peers, each prints a ratio
# make docs                writes the reference pages from the program itself
# make clean               removes what was made: demo databases, caches (not .venv)

PHOTOS ?=
CLASSES ?=
SERVE ?= 1
PORT ?= 0
BIN := .venv/bin

ifeq ($(strip $(PHOTOS)),)
DEMO_DATABASE ?= demo/digits.imagetree
DEMO_TIME := under 5 minutes
else
DEMO_DATABASE ?= demo/$(notdir $(patsubst %/,%,$(PHOTOS))).imagetree
DEMO_TIME := about a quarter of an hour for 7,000 photos on 2 cores
endif

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs clean

help:
	@sed -n 's/^# make/make/p' Makefile

demo:
	@echo "imagetree demo: everything goes into .venv, demo/ and the user's cache; $(DEMO_TIME)."
	@echo "Installs about 1.3 GB of Python packages (PyTorch is most of it; its build with CUDA, which"
	@echo "pip takes on some machines, is 4 GB more) and WordNet 3.0 (30 MB)."
	@setup/debian wordnet-base
	@setup/python train,demo
	@echo "The command imagetree is in .venv/bin; to have it on your path: . .venv/bin/activate"
	@$(BIN)/imagetree demo $(DEMO_DATABASE) $(if $(strip $(PHOTOS)),--photos "$(PHOTOS)") \
		$(if $(CLASSES),--classes "$(CLASSES)") --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve)

test:
	@setup/debian wordnet-base chromium postgresql
	@setup/python train,demo,postgresql,dev
	@$(BIN)/python -m pytest

check:
	@setup/debian wordnet-base postgresql
	@setup/python train,demo,postgresql,dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/unit -m "not slow"

bench:
	@setup/python train,demo,postgresql,dev
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

docs:
	@setup/python train,demo,postgresql,dev
	@$(BIN)/python -m imagetree.cli.reference docs

clean:
	rm -rf demo build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks recipes -name __pycache__ -type d -prune -exec rm -rf {} +
