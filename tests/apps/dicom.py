"""Synthetic DICOM files (part 10, explicit VR, little endian): a grey ramp of a person who does not exist."""

import struct
import uuid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def uid():
    """A new identifier, from a random UUID (PS3.5, annex B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def element(group, number, kind, value):
    if isinstance(value, str):
        value = value.encode()
        value += (b"\0" if kind == "UI" else b" ") * (len(value) % 2)
    head = struct.pack("<HH", group, number) + kind.encode()
    length = struct.pack("<HI", 0, len(value)) if kind in ("OB", "OW") else struct.pack("<H", len(value))
    return head + length + value


def short(number):
    return struct.pack("<H", number)


def image(name, patient, study, rows, columns, bits=8, number=1, series=None):
    """A file with one image; returns it with the identifier of the instance."""
    instance = uid()
    meta = (element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", SECONDARY_CAPTURE) + element(2, 3, "UI", instance)
            + element(2, 0x10, "UI", EXPLICIT_LITTLE_ENDIAN) + element(2, 0x12, "UI", "2.25.1"))
    if bits == 8:
        line = bytes(255 * x // (columns - 1) for x in range(columns))
        pixels = b"".join(bytes(y * v // rows for v in line) for y in range(rows)) if rows <= 512 else line * rows
    else:
        pixels = b"".join(struct.pack("<H", x & 0x0fff) for x in range(columns)) * rows
    data = b"".join([
        element(0x08, 0x16, "UI", SECONDARY_CAPTURE), element(0x08, 0x18, "UI", instance),
        element(0x08, 0x20, "DA", "20261121"), element(0x08, 0x30, "TM", "120000"), element(0x08, 0x50, "SH", "A-1"),
        element(0x08, 0x60, "CS", "OT"), element(0x08, 0x64, "CS", "WSD"), element(0x08, 0x1030, "LO", "Test pattern"),
        element(0x08, 0x103e, "LO", "Grey ramp"), element(0x10, 0x10, "PN", name), element(0x10, 0x20, "LO", patient),
        element(0x10, 0x30, "DA", "19000101"), element(0x10, 0x40, "CS", "O"),
        element(0x20, 0x0d, "UI", study), element(0x20, 0x0e, "UI", series or uid()), element(0x20, 0x10, "SH", "1"),
        element(0x20, 0x11, "IS", "1"), element(0x20, 0x13, "IS", str(number)),
        element(0x28, 2, "US", short(1)), element(0x28, 4, "CS", "MONOCHROME2"), element(0x28, 0x10, "US", short(rows)),
        element(0x28, 0x11, "US", short(columns)), element(0x28, 0x100, "US", short(bits)),
        element(0x28, 0x101, "US", short(bits)), element(0x28, 0x102, "US", short(bits - 1)),
        element(0x28, 0x103, "US", short(0)), element(0x7fe0, 0x10, "OB" if bits == 8 else "OW", pixels),
    ])
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + data, instance
