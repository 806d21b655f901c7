# What proves the wgpu kernels where there is no GPU: lavapipe, a Vulkan driver that computes on the CPU. Without root,
# or elsewhere than on Debian, it is left out in plain words.

.PHONY: vulkan

unit: vulkan

LAVAPIPE = ls /usr/share/vulkan/icd.d/lvp_icd*.json

vulkan:  ## lavapipe, where it can be installed and is not
	@$(LAVAPIPE) >/dev/null 2>&1 || { command -v apt-get >/dev/null && test $$(id -u) -eq 0 && \
	  (apt-get update && apt-get install --yes --no-install-recommends mesa-vulkan-drivers libvulkan1) >/dev/null 2>&1; } || true
	@$(LAVAPIPE) >/dev/null 2>&1 || echo "left out: there is no lavapipe here, so wgpu is proved on a GPU or not at all"
