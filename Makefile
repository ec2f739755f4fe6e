# Every target sets up what it needs in .venv, once: a stamp in .venv says which extras are there.
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: demo test lint docs bench mutants clean

$(PY):
	python3 -m venv $(VENV)

$(VENV)/%.stamp: pyproject.toml | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	touch $@

demo: $(VENV)/plot.stamp
	$(PY) -m tinygrad_sq demo

test: $(VENV)/test.stamp
	command -v dot >/dev/null || { apt-get update -qq && apt-get install -y -qq graphviz >/dev/null; }
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }
	command -v node >/dev/null || { apt-get update -qq && apt-get install -y -qq nodejs >/dev/null; }
	$(PY) -m pytest -n auto --dist loadgroup --cov --cov-report=term-missing:skip-covered

lint: $(VENV)/lint.stamp $(VENV)/test.stamp
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

docs: $(VENV)/docs.stamp
	$(PY) -m sphinx -q -W --keep-going docs build/docs
	@echo "open build/docs/index.html"

bench: $(PY)
	$(PY) benchmarks/run.py
	$(PY) benchmarks/compiled.py

mutants: $(VENV)/mutants.stamp $(VENV)/test.stamp
	$(PY) tests/mutants.py

clean:
	rm -rf $(VENV) out build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
