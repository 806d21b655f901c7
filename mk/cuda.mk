# What proves the CUDA kernels without a card: g++, which executes them on the processor, NVRTC, which compiles
# them for cards, and nvdisasm, which reads the machine code. What cannot be had is left out in plain words.

.PHONY: cuda-needs mutants

unit: cuda-needs

cuda-needs:  ## NVRTC and nvdisasm, into .peers/ (90 MB), and g++ where it can be installed
	@command -v g++ >/dev/null || { command -v apt-get >/dev/null && test $$(id -u) -eq 0 && \
	  (apt-get update && apt-get install --yes --no-install-recommends g++) >/dev/null 2>&1; } || true
	@sh peers/fetch.sh cuda

mutants: cuda-needs  ## every barrier, wait and bounds check of the CUDA kernels, removed in turn: who notices?
	@CUTGPU_MUTANTS=all $(CARGO) test --quiet --test cuda_on_cpu -- --nocapture a_kernel_without
