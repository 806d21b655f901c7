# Two commands: `make bench` measures this machine and draws the page, `make test` proves that all of it
# is right. Both fetch what they need, quietly and only if it is missing.

CARGO  ?= cargo
CUTGPU := target/release/cutgpu
OUT    ?= runs/quick

.DEFAULT_GOAL := help
.PHONY: help build bench test lint unit test-needs browser viewers goals aa truth fuzz clean

-include mk/*.mk

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build:  ## the program, optimised
	@$(CARGO) build --release --quiet

bench: build libs  ## measure this machine, price it, draw the page (about three minutes, and the build)
	@$(CUTGPU) doctor || test $$? -ne 3
	@rm -rf $(OUT)
	@$(CUTGPU) run quick --out $(OUT)
	@$(CUTGPU) report $(OUT)

test: lint unit browser  ## everything that proves it right

lint:  ## formatting, lints, documentation
	@$(CARGO) fmt --check
	@$(CARGO) clippy --quiet --all-targets -- -D warnings
	@$(CARGO) clippy --quiet --test goals --test browser -- -D warnings  # --all-targets leaves them out, named or not
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps

unit: libs  ## every Rust test
	@$(CARGO) test --quiet

BROWSER = command -v chromium || command -v chromium-browser || command -v google-chrome

# Chromium and a font, for the test that opens the page; without root, or elsewhere than on Debian, it is
# left out in plain words.
test-needs:
	@($(BROWSER)) >/dev/null || { command -v apt-get >/dev/null && test $$(id -u) -eq 0 && \
	  (apt-get update && apt-get install --yes --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1; } || true

browser: test-needs  ## the page in a real browser: themes, phone, print, sliders, table, no script
	@sh peers/fetch.sh axe
	@if ($(BROWSER)) >/dev/null; then $(CARGO) test --quiet --test browser -- --nocapture; \
	else echo "left out: there is no Chromium here, so the page was not opened in a browser"; fi

viewers: test-needs  ## a trace of `cutgpu profile` in speedscope, fetched into .peers/ (1 MB)
	@sh peers/fetch.sh viewers
	@if ($(BROWSER)) >/dev/null; then $(CARGO) test --quiet --test browser -- --nocapture viewers; \
	else echo "left out: there is no Chromium here, so no trace was opened"; fi

goals: build  ## measure every goal of tests/goals.toml; ONLY=first selects
	@$(CARGO) test --release --quiet --test goals -- $(ONLY)

aa: build libs  ## is a difference told from noise? equal runs, and runs with 5 % more work
	@$(CARGO) test --release --quiet --test goals -- first.aa first.slow

truth: build libs  ## the same product under other clocks
	@$(CARGO) test --release --quiet --test goals -- first.truth

fuzz:  ## 10^6 mutated suites, records and prices
	@CUTGPU_FUZZ=1000000 $(CARGO) test --release --quiet --test fuzz -- --nocapture

clean:  ## remove what was built and measured
	@rm -rf target runs
