"""Takes shared libraries and licences out of a wheel.

usage: unpack.py WHEEL FOLDER

A wheel may hold one library under three names (a symbolic link cannot be packed), and may keep it in a
"data" folder that `pip install --target` leaves out. So: of the files with equal contents only the one
whose name a loader asks for (its soname, `lib*.so.N`) is kept, and all lie flat in FOLDER.
"""

import pathlib
import re
import sys
import zipfile

SHARED = re.compile(r"\.so(\.\d+)?$|/libnvrtc-builtins\.so\.[\d.]+$")
# Programs and scripts that a package is fetched for.
TOOL = re.compile(r"/bin/nvdisasm$|/axe\.min\.js$")
LICENCE = re.compile(r"licen[cs]e|third-party|copying|notice", re.IGNORECASE)
# Parts of MKL and its OpenMP runtime that a dense product on the host never loads.
UNUSED = re.compile(r"scalapack|blacs|cdft|tbb|ilp64|vml|omptarget|archer|iompstubs|iomp5_db|sycl|opencl|\.alt\.")


def wanted(members):
    """The members to unpack: of equal contents, the name with one number after `.so`."""
    shared = [m for m in members if SHARED.search(m.filename) and not UNUSED.search(m.filename)]
    contents = {}
    for member in sorted(shared, key=lambda m: m.filename):
        contents[(member.CRC, member.file_size)] = member
    return list(contents.values())


def main(wheel, folder):
    folder = pathlib.Path(folder)
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        for member in wanted(members):
            (folder / pathlib.PurePath(member.filename).name).write_bytes(archive.read(member))
        for member in members:
            if TOOL.search(member.filename):
                tool = folder / pathlib.PurePath(member.filename).name
                tool.write_bytes(archive.read(member))
                tool.chmod(0o755)
        for member in members:
            if LICENCE.search(member.filename) and member.file_size < 1 << 20:
                name = "-".join(pathlib.PurePath(member.filename).parts[-2:])
                (folder / "licences" / name).parent.mkdir(exist_ok=True)
                (folder / "licences" / name).write_bytes(archive.read(member))


if __name__ == "__main__":
    main(*sys.argv[1:])
