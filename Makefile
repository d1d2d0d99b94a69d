# Two commands do everything on a fresh machine: `make up` and `make test`. `make help` lists the rest.
PYTHON ?= python3
STACK  ?= dev
GAD    := bin/gad
VENV   := .venv/bin
# One pytest run for nearly the whole: engine tests share the built images and one stack.
TESTS  ?= tests/unit tests/app tests/engine
# Releases under load have the machine alone: one that is full drops requests by itself.
ALONE  := tests/engine/release
PYTEST ?= $(VENV)/python -m pytest
.DEFAULT_GOAL := help
.PHONY: help venv setup up down clean check test bench soak judges verify status demo

help: ## what can be typed here
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

venv:
	@$(PYTHON) bin/bootstrap.py

setup: venv ## Python packages, Docker, the Pulumi engine and its plugins
	@$(GAD) setup

up: setup ## the whole stack, verified, with its URLs (STACK=dev)
	@$(GAD) images build --group core && $(GAD) up $(STACK)

down: venv ## stop the stack and keep its data
	@$(GAD) down $(STACK)

clean: venv ## remove the stack and its data (asks first)
	@$(GAD) clean $(STACK)

check: venv ## lint, types, Dockerfiles, secrets, import contract, unit tests
	@$(VENV)/ruff check -q . && $(VENV)/ruff format -q --check . && $(VENV)/mypy --no-error-summary
	@find config/images -name Dockerfile -exec $(VENV)/hadolint {} +
	@git ls-files -z | xargs -0 $(VENV)/detect-secrets-hook --baseline .secrets.baseline && $(PYTEST) -q tests/unit

test: setup check ## every test, on real PostGIS, Redis, Caddy, Docker, sshd
	@$(GAD) images build && $(PYTEST) -n 2 $(filter-out tests/unit,$(TESTS)) --ignore=$(ALONE) && $(PYTEST) $(ALONE)

bench: setup ## what people wait for, measured beside its target (asks first)
	@$(GAD) bench $(STACK)

soak: setup ## every kill and loss there is, at length (KILLS=10)
	@$(GAD) images build
	@GAD_TEST_LONG=1 GAD_TEST_KILLS=$(or $(KILLS),10) $(PYTEST) tests/app tests/engine/stack $(ALONE) tests/engine/conformance tests/engine/lab

judges: setup ## what Lynis, ssh-audit, sslyze and others say of server, proxy, images
	@$(GAD) images build --group core && $(GAD) images build lab registry && $(GAD) judges --write

verify: venv ## is what runs what was declared?
	@$(GAD) verify $(STACK)

status: venv ## one screen: services, slot, digests, health, URLs
	@$(GAD) status $(STACK)

demo: venv ## load a district at work through the API: 10,000 officers, tasks, emergencies
	@$(GAD) demo $(STACK)
