# cubek's products beside ours on what wgpu reaches. A package of its own: nobody else builds its 250 crates.

.PHONY: cubek cubek-check

CUBEK := --manifest-path peers/cubek/Cargo.toml --target-dir target/cubek

cubek: vulkan  ## a worker that multiplies by cubek, for `--backend cubek` (built once, about ten minutes)
	@$(CARGO) build --release --quiet --locked $(CUBEK)
	@mkdir -p .peers/cubek/bin
	@cp target/cubek/release/cutgpu-cubek .peers/cubek/bin/

cubek-check:  ## its formatting and lints
	@$(CARGO) fmt --check --manifest-path peers/cubek/Cargo.toml
	@$(CARGO) clippy --quiet --locked $(CUBEK) -- -D warnings
