# How far predicted times are off where they were not fitted, over the recorded runs.

.PHONY: predict sizes

SIZES_OUT ?= runs/sizes

predict: build  ## predicted times beside measured ones: a size, a workload, a machine left out
	@$(CUTGPU) predict $(patsubst %/run.jsonl,%,$(wildcard results/*/run.jsonl))

sizes: build peers  ## kernels at many sizes, which predictions learn from (about half an hour)
	@$(CUTGPU) doctor || test $$? -ne 3
	@rm -rf $(SIZES_OUT)
	@$(CUTGPU) run suites/sizes.toml --out $(SIZES_OUT) >/dev/null || test $$? -eq 1
	@$(CUTGPU) predict $(SIZES_OUT)
