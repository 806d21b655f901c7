# Runs as Parquet, for DuckDB and pandas. A workspace member of its own, so that nobody else builds its 20 crates.

.PHONY: parquet parquet-check

PARQUET ?= runs/runs.parquet

parquet: build  ## RUNS="runs/quick ..." as one Parquet file, $(PARQUET); SAMPLES=1 for one row a sample
	@test -n "$(RUNS)" || { echo 'name runs: make parquet RUNS="runs/quick seven.tar.gz"'; exit 2; }
	@mkdir -p $(dir $(PARQUET))
	@$(CARGO) run --release --quiet --package export-parquet -- $(RUNS) --out $(PARQUET) $(if $(SAMPLES),--samples)

parquet-check:  ## its formatting, lints and tests
	@$(CARGO) fmt --check --package export-parquet
	@$(CARGO) clippy --quiet --package export-parquet --all-targets -- -D warnings
	@$(CARGO) test --quiet --package export-parquet
