# One folder for a machine that has a GPU and nothing else: the program, cubins, suites, prices, a script.

.PHONY: gpu-bundle

GPU_BUNDLE := target/gpu-bundle/cutgpu-gpu
# The newest glibc that the program may need, and the most that the folder may weigh, in KiB.
GLIBC_MOST := 2.35
GPU_MOST   := 40960

gpu-bundle: build  ## one folder to carry to a machine with a GPU (40 MB at most)
	@rm -rf $(GPU_BUNDLE)
	@mkdir -p $(GPU_BUNDLE)
	@cp $(CUTGPU) $(GPU_BUNDLE)/cutgpu
	@strip $(GPU_BUNDLE)/cutgpu
	@cp -r suites catalog peers $(GPU_BUNDLE)/
	@rm -f $(GPU_BUNDLE)/suites/*.rs
	@find $(GPU_BUNDLE)/peers -name __pycache__ -prune -exec rm -rf {} +
	@cp gpu/run.sh gpu/README.md $(GPU_BUNDLE)/
	@# Packed, they take a quarter: run.sh unpacks them where the folder has come to.
	@if $(CUTGPU) worker --cubins $(GPU_BUNDLE)/cubins; then \
	  tar -C $(GPU_BUNDLE) -czf $(GPU_BUNDLE)/cubins.tar.gz cubins && rm -rf $(GPU_BUNDLE)/cubins; \
	else echo "no cubins: the kernels will be compiled where the folder is unpacked, if NVRTC is there"; fi
	@needs=$$(objdump -T $(GPU_BUNDLE)/cutgpu | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -uV | tail -1); \
	  newest=$$(printf '%s\n' $$needs $(GLIBC_MOST) | sort -V | tail -1); \
	  test "$$newest" = $(GLIBC_MOST) || { echo "the program needs glibc $$needs"; exit 1; }; \
	  size=$$(du -sk $(GPU_BUNDLE) | cut -f1); \
	  test $$size -le $(GPU_MOST) || { echo "the folder weighs $$size KiB"; exit 1; }; \
	  echo "$(GPU_BUNDLE): $$size KiB, glibc $$needs"
	@tar -C $(dir $(GPU_BUNDLE)) -czf $(GPU_BUNDLE).tar.gz $(notdir $(GPU_BUNDLE))
