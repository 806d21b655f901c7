# The libraries and Python packages that cutgpu compares itself with, fetched into .peers/.
# What cannot be fetched is one line; nothing here fails.

.PHONY: libs peers

libs:  ## OpenBLAS and oneDNN, into .peers/ (47 MB)
	@sh peers/fetch.sh libs

peers: libs  ## MKL, BLIS, numpy, ONNX Runtime and torch too, into .peers/ (0.3 GB, torch 0.2 to 3 GB more)
	@sh peers/fetch.sh peers
