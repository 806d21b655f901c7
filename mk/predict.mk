# How far predicted times are off where they were not fitted, over the recorded runs.

.PHONY: predict

predict: build  ## predicted times beside measured ones: a size, a workload, a machine left out
	@$(CUTGPU) predict $(patsubst %/run.jsonl,%,$(wildcard results/*/run.jsonl))
