# Every target makes its own virtual environment; Python 3.10 or newer is all that has to be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
VERSIONS := 3.10 3.11 3.12 3.13 3.14
SOURCES := setup.cfg pyproject.toml README.md $(shell find safe_sqs -type f -not -name '*.pyc')
# What the oldest versions are tried with in `make test`; `make oldest` runs everything.
SHORT := tests/test_smoke.py tests/test_transport.py tests/test_drop_in.py tests/test_lookups.py
# Long searches, which being measured would make several times as long.
PROOF := tests/test_policy_proof.py
# Other people's programs, in their own versions. Those that do not install together have an environment each.
CLIENTS := clients aioboto3 awscli
# The tests around them, of which those marked `whole_matrix` are left to `make compat`.
FOREIGN := tests/clients tests/test_run.py tests/test_lambda_layer.py
# Of some other files, the tests that need these clients.
OTHERS := tests/test_docs.py tests/test_race.py tests/test_bypass.py
OF_OTHERS := not (test_docs or test_bypass) or asyncio or every-region
# The tools that `make bench-policy` compares with: each has benchmarks/peers/NAME.txt.
PEERS := policyuniverse prowler checkov c7n
PEERS_PYTHON ?= $(PYTHON)
# Where the race is run, with the other instrumentations.
RACE := .venv-peers/race
# The tests that take more random examples when LAW_EXAMPLES asks for them.
WITH_LAWS := $(addprefix tests/test_,policy_laws.py mending.py repair.py explain.py generate.py identity.py lockout.py)
# How much `make fuzz` does: pairs for each oracle, from which seed on, Hypothesis examples of each law, atheris' time.
PAIRS ?= 100000
FIRST ?= 0
LAWS ?= 2000
SECONDS ?= 300

.DEFAULT_GOAL := help
.PHONY: help demo test check clients compat layer oldest matrix bench bench-guard bench-policy bench-scale bench-fleet oracle fuzz mutants bypass faults soak supply lock results docs clean

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## guarded producers and consumers against an emulator over real TLS, and what is refused
	$(BIN)/safe-sqs demo

test: check ## all tests and checks, on the built wheel; the short form of `make oldest` too
	$(BIN)/pytest -n auto --cov --cov-report= $(PROOF:%=--ignore=%) $(FOREIGN:%=--ignore=%)
	$(BIN)/coverage report --fail-under=100 --include='*/safe_sqs/policy/*,*/safe_sqs/rules/*,*/safe_sqs/judge.py'
	$(BIN)/pytest -n auto $(PROOF)
	$(MAKE) .venv-mutants/.installed
	.venv-mutants/bin/pytest tests/test_mutants.py
	$(MAKE) clients
	$(MAKE) oldest TESTS="$(SHORT)"

check: $(VENV)/.installed ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clients: $(CLIENTS:%=.venv-%/.installed) ## the tests with Celery, aiobotocore, awslambdaric and others, in their own versions
	@test ! -x .venv-clients/bin/pytest \
	  || .venv-clients/bin/pytest -n auto -m "not whole_matrix" -k "$(OF_OTHERS)" $(FOREIGN) $(OTHERS)

compat: $(VENV)/.installed $(CLIENTS:%=.venv-%/.installed) ## the table of each client and what is attempted with it, and the long tests with them
	.venv-clients/bin/pytest -n auto -m whole_matrix tests/clients --ignore=tests/clients/test_clients.py
	cd tests && $(abspath $(BIN))/python -m clients.compat --write ../docs/reference/compatibility.md

layer: $(VENV)/.installed ## the zip of the Lambda layer, into dist/layer (LAYER="--python 3.12 --architecture arm64", ORGANISATION=FILE)
	cd dist && $(abspath $(BIN))/python -m safe_sqs.lambda_layer.build --output layer \
	  $(if $(ORGANISATION),--organisation $(abspath $(ORGANISATION))) $(LAYER)

oldest: $(VENV)-oldest/.installed ## the tests with the oldest versions that setup.cfg allows
	$(VENV)-oldest/bin/pytest -n auto --ignore=tests/clients $(TESTS)

matrix: ## the tests on every supported Python that is installed
	@for version in $(VERSIONS); do \
	  command -v python$$version > /dev/null || { echo "Python $$version is not installed, left out"; continue; }; \
	  python$$version --version > /dev/null 2>&1 || { echo "Python $$version does not start, left out"; continue; }; \
	  echo "Python $$version"; \
	  $(MAKE) --no-print-directory PYTHON=python$$version VENV=.venv-$$version suite || exit 1; \
	done

.PHONY: suite
suite: $(VENV)/.installed
	$(BIN)/pytest -n auto --ignore=tests/clients

bench: $(RACE)/.ready ## the race: what the guard costs, beside OpenTelemetry, X-Ray, ddtrace and a naive guard (BENCH="--quick")
	$(RACE)/bin/python benchmarks/race.py $(BENCH)

bench-guard: $(VENV)/.installed ## what the guard costs against boto3, in one process and without peers
	$(BIN)/python benchmarks/overhead.py

bench-policy: $(VENV)/.installed $(PEERS:%=.venv-peers/%/.installed) ## how the judge of policies and the known tools do, and what it costs
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/policy_cost.py

bench-scale: $(VENV)/.installed ## what guard, audit and Config rule ask of AWS and cost, by formula and by simulation
	$(BIN)/python benchmarks/scale.py

bench-fleet: $(VENV)/.installed ## an audit of ten thousand queues on the emulator: time, calls, memory, resuming (QUEUES)
	$(BIN)/python benchmarks/fleet.py $(if $(QUEUES),--queues $(QUEUES))

oracle: $(VENV)/.installed tests/oracle/node_modules/.installed ## policy decisions against those of iam-simulate (needs node and npm)
	cd tests && $(abspath $(BIN))/python -m oracle.agree --pairs 20000

fuzz: $(VENV)/.installed ## the judge of policies against brute force and z3, its laws, and atheris (PAIRS, FIRST, LAWS, SECONDS)
	cd tests && $(abspath $(BIN))/python -m proof.compare --pairs $(PAIRS) --first $(FIRST) --findings $(CURDIR)/build/findings
	LAW_EXAMPLES=$(LAWS) $(BIN)/pytest -n auto -m hypothesis $(WITH_LAWS)
	@$(BIN)/python -m pip install --quiet --only-binary=atheris "safe_sqs[fuzz] @ file://$$(ls $(CURDIR)/dist/*.whl)" 2> /dev/null \
	  || echo "atheris cannot be installed here, as it has no wheel for this Python: left out"
	@! $(BIN)/python -c "import atheris" 2> /dev/null \
	  || (cd tests && $(abspath $(BIN))/python -m proof.fuzz --seconds $(SECONDS) --findings $(CURDIR)/build/findings)

mutants: .venv-mutants/.installed ## mutation tests of guard and judge, which take long; SAMPLE=300 takes some at random (MUTANTS="--group guard")
	.venv-mutants/bin/python tests/mutants.py $(if $(SAMPLE),--sample $(SAMPLE)) $(MUTANTS)

bypass: $(VENV)/.installed ## each known way around the guard: without it, with it, with install(), and the bytes seen (BYPASS="--family retries")
	cd tests && PYTHONPATH=../benchmarks $(abspath $(BIN))/python -m bypasses $(BYPASS)

faults: $(VENV)/.installed .venv-clients/.installed ## a proxy breaks connections, requests and answers: nothing unsafe out, nothing lost (FAULTS="--minutes 5"; about 25 minutes)
	cd tests && PYTHONPATH=../benchmarks $(abspath $(BIN))/python -m faults --side sync --budget $(FAULTS)
	@test ! -x .venv-clients/bin/python \
	  || (cd tests && PYTHONPATH=../benchmarks $(abspath .venv-clients)/bin/python -m faults --side async $(FAULTS))

soak: $(VENV)/.installed .venv-clients/.installed ## load and soak: threads, tasks, forks and queues that change under way (SOAK="--seconds 3600 --keep")
	@cd tests && python=$(abspath .venv-clients)/bin/python; test -x $$python || python=$(abspath $(BIN))/python; \
	  PYTHONPATH=../benchmarks $$python -m soak $(SOAK)

supply: $(VENV)-supply/.installed ## the release tried: reproducible archives, bills of materials, locks, vulnerabilities (SUPPLY="--keep")
	cd tests && PYTHONPATH=../benchmarks $(abspath $(VENV)-supply/bin)/python -m supply $(SUPPLY)

lock: $(VENV)-supply/.installed ## newer releases into the locks in tests/supply/locks
	cd tests && $(abspath $(VENV)-supply/bin)/python -m supply.locks --renew

results: $(VENV)/.installed ## the page of results, from what was kept with --keep
	$(BIN)/python benchmarks/results.py

docs: $(VENV)-docs/.installed ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --quiet --strict
	@echo "site/index.html"

clean: ## remove what the other targets made
	rm -rf .venv* build dist mutants site *.egg-info .coverage* tests/oracle/node_modules

# The built wheel is what gets installed, so that the demo and the tests run what users get.
dist/.built: $(SOURCES)
	$(PYTHON) -m venv .venv-build
	.venv-build/bin/python -m pip install --quiet --upgrade build
	rm -rf build dist
	.venv-build/bin/python -m build --wheel --outdir dist . > /dev/null
	touch $@

$(VENV)/.installed: dist/.built
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "safe_sqs[test] @ file://$$(ls $(CURDIR)/dist/*.whl)"
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

$(VENV)-oldest/.installed: dist/.built tests/oldest.txt
	$(PYTHON) -m venv $(VENV)-oldest
	$(VENV)-oldest/bin/python -m pip install --quiet --constraint tests/oldest.txt \
	  "safe_sqs[test] @ file://$$(ls $(CURDIR)/dist/*.whl)"
	$(VENV)-oldest/bin/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

# The versions are pinned; where one of them cannot be installed, as on another Python, what needs it is left out.
$(CLIENTS:%=.venv-%/.installed): .venv-%/.installed: tests/clients/%.txt dist/.built
	$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet --requirement $< > .venv-$*/pip.log 2>&1 \
	  && .venv-$*/bin/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl \
	  || { echo "$* cannot be installed here, see .venv-$*.log"; mv .venv-$*/pip.log .venv-$*.log; rm -rf .venv-$*; mkdir .venv-$*; }
	touch $@

# They need different versions of the same libraries. One that cannot be installed here gets a row that says so.
.venv-peers/%/.installed: benchmarks/peers/%.txt
	@mkdir -p .venv-peers
	@rm -f $@
	@echo "installing $*, this once"
	@{ $(PEERS_PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install --quiet --requirement $<; } > .venv-peers/$*.log 2>&1 \
	  && touch $@ || echo "$* is not installed, see .venv-peers/$*.log"

# Where the other instrumentations cannot be installed, boto3, safe_sqs and the naive guard race alone.
$(RACE)/.ready: benchmarks/peers/race.txt dist/.built
	$(PYTHON) -m venv $(RACE)
	@$(RACE)/bin/python -m pip install --quiet --requirement $< > .venv-peers/race.log 2>&1 \
	  || echo "the peers are not installed, see .venv-peers/race.log"
	$(RACE)/bin/python -m pip install --quiet "trustme>=1.1.0" "safe_sqs @ file://$$(ls $(CURDIR)/dist/*.whl)"
	$(RACE)/bin/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

tests/oracle/node_modules/.installed: tests/oracle/package-lock.json
	cd tests/oracle && npm ci --silent
	touch $@

# Mutants are made from the checkout, so that is what gets installed.
.venv-mutants/.installed: setup.cfg
	$(PYTHON) -m venv .venv-mutants
	.venv-mutants/bin/python -m pip install --quiet --editable ".[test,aio]" "aiobotocore[httpx]" trio "mutmut==3.8.1"
	touch $@

$(VENV)-docs/.installed: setup.cfg
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet ".[docs]"
	touch $@

$(VENV)-supply/.installed: tests/supply/locks/development.txt
	$(PYTHON) -m venv $(VENV)-supply
	$(VENV)-supply/bin/python -m pip install --quiet --require-hashes --requirement tests/supply/locks/development.txt
	touch $@
