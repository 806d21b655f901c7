# This project's kernels beside every library that `make peers` brings.

.PHONY: peers-bench

PEERS_OUT ?= runs/peers

peers-bench: build peers  ## our kernels beside the libraries: table, CSV and chart (two hours; ONLY=bert-step selects)
	@$(CUTGPU) doctor || test $$? -ne 3
	@rm -rf $(PEERS_OUT)
	@$(CUTGPU) run peers $(if $(ONLY),--only $(ONLY)) --out $(PEERS_OUT) >/dev/null || test $$? -eq 1
	@$(CUTGPU) report $(PEERS_OUT)
	@$(CUTGPU) compare $(PEERS_OUT) --peers | tee $(PEERS_OUT)/report/peers.txt
