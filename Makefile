.PHONY: install test thorough fast matrix lint format docs bench gpu

install:  ## install the package, editable, with everything a developer needs
	python -m pip install -e ".[dev]"

test:  ## every test; those that need a GPU or the external corpora say why they skip
	python -m pytest -n auto

thorough:  ## those that take long, too: soak, compilation, benches, every command of every page
	python -m pytest -n auto -m ""

fast:  ## the quick facts only
	python -m pytest -n auto -m "not slow and not e2e"

matrix:  ## the quick tests with the oldest and the newest torch, in environments of their own
	python -m tox run

lint:  ## formatting, lint, spelling, types, import floors
	ruff format --check .
	ruff check .
	codespell README.md CONTRIBUTING.md configs docs scripts seq2seq tests
	mypy
	lint-imports

format:  ## mend what can be mended
	ruff format .
	ruff check --fix .

docs:  ## the documentation as a site, into build/docs
	python docs/site/build.py

bench:  ## tokens per second beside the plain PyTorch loop
	python scripts/bench_training.py

gpu:  ## on a machine with a GPU: tests, speed and models, in eight minutes, into build/gpu/gpu.md
	python scripts/check_gpu.py
