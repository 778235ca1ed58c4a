# architectures.py PROGRAM ARCHITECTURE...: fails unless the program carries device code for exactly the architectures as
# CMake names them: 80-real is machine code, 90 machine code and PTX. Reads the containers that nvcc puts into the section
# .nv_fatbin: a header (magic, version, its size, size of the rest), then entries (kind, version, header size, size, ...,
# architecture at byte 28), one after the other.
import struct
import sys

MAGIC, PTX, ELF = 0xBA55ED50, 1, 2


def containers(data):
    at = data.find(struct.pack("<I", MAGIC))
    while at >= 0:
        header, size = struct.unpack_from("<HQ", data, at + 6)
        yield data[at + header:at + header + size]
        at = data.find(struct.pack("<I", MAGIC), at + header + size)


def entries(container):
    at = 0
    while at < len(container):
        kind, _, header, size = struct.unpack_from("<HHIQ", container, at)
        yield {PTX: "compute", ELF: "sm"}[kind] + f"_{struct.unpack_from('<I', container, at + 28)[0]}"
        at += header + size


program, *asked = sys.argv[1:]
wanted = {"sm_" + name.split("-")[0] for name in asked if not name.endswith("-virtual")}
wanted |= {"compute_" + name.split("-")[0] for name in asked if not name.endswith("-real")}
with open(program, "rb") as file:
    found = [set(entries(container)) for container in containers(file.read())]
if not found or any(one != wanted for one in found):
    sys.exit(f"{program}: {len(found)} kernels' files with {sorted(set().union(*found))}; each wants {sorted(wanted)}")
print(f"{program}: {len(found)} kernels' files, each with {sorted(wanted)}")
