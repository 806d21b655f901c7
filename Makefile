# Two commands: `make bench` measures this machine and draws the page, `make test` proves that all of it
# is right. Both fetch what they need, quietly and only if it is missing.

CARGO  ?= cargo
CUTGPU := target/release/cutgpu
OUT    ?= runs/quick

.DEFAULT_GOAL := help
.PHONY: help build bench test lint unit browser peers-test goals aa truth fuzz clean

-include mk/*.mk

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build:  ## the program, optimised
	@$(CARGO) build --release --quiet

bench: build libs  ## measure this machine, price it, draw the page (about five minutes)
	@$(CUTGPU) doctor || test $$? -ne 3
	@rm -rf $(OUT)
	@$(CUTGPU) run quick --out $(OUT)
	@$(CUTGPU) report $(OUT)

test: lint unit browser  ## everything that proves it right

lint:  ## formatting, lints, documentation
	@$(CARGO) fmt --check
	@$(CARGO) clippy --quiet --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --quiet --no-deps

unit: test-needs  ## every Rust test
	@$(CARGO) test --quiet
