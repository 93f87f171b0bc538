"""Unpacks a compressed kernel (bzImage, `vmlinuz`) into the vmlinux that it carries.

The place of the compressed payload is in the header of the file (the kernel's
Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length; from protocol 2.08
on). Under emulation a guest needs two seconds to unpack it, at every boot; here it is done once.
"""

from __future__ import annotations

import bz2
import ctypes
import gzip
import lzma
import struct
from collections.abc import Callable

from conformance.errors import ImageError, SetupError

_MAGIC_AT, _VERSION_AT, _SECTORS_AT, _PAYLOAD_AT = 0x202, 0x206, 0x1F1, 0x248
_LARGEST = 1 << 30
_LZ4_BLOCK = 8 << 20
"""The kernel's lz4 format is lz4's "legacy" one: blocks of up to so many bytes, each behind its compressed size."""
_ELF = b"\x7fELF"


def is_bzimage(data: bytes) -> bool:
    """Whether this is the start of a bzImage whose header tells where its payload is."""
    return data[_MAGIC_AT : _MAGIC_AT + 4] == b"HdrS" and struct.unpack_from("<H", data, _VERSION_AT)[0] >= 0x208


def unpack(data: bytes, where: str) -> bytes:
    """The vmlinux in a bzImage. `where` names it in errors.

    Raises ImageError when it is damaged or of an unknown compression, SetupError when a library is missing."""
    sectors = data[_SECTORS_AT] or 4
    offset, length = struct.unpack_from("<II", data, _PAYLOAD_AT)
    start = (sectors + 1) * 512 + offset
    payload = data[start : start + length]
    expand = next((expand for magic, expand in _FORMATS.items() if payload.startswith(magic)), None)
    if expand is None:
        raise ImageError(
            f"{where}: expected a kernel compressed with gzip, bzip2, lzma, xz, lz4 or zstd, found one that begins "
            f"with {payload[:8].hex(' ')}. Give the uncompressed vmlinux instead."
        )
    try:
        vmlinux = expand(payload)
    except (OSError, EOFError, ValueError, lzma.LZMAError, struct.error) as error:
        raise ImageError(f"{where}: expected a whole compressed kernel, found a damaged one: {error}") from error
    if not vmlinux.startswith(_ELF):
        raise ImageError(f"{where}: expected an ELF file in it, found {vmlinux[:8].hex(' ')}")
    return vmlinux


def _size(payload: bytes) -> int:
    """The uncompressed size, which the kernel's build puts behind every payload."""
    size: int = struct.unpack("<I", payload[-4:])[0]
    if not 0 < size <= _LARGEST:
        raise ValueError(f"it says that it holds {size} bytes")
    return size


def _gzip(payload: bytes) -> bytes:
    # gzip's own trailer ends with the size.
    return gzip.decompress(payload)


def _bzip2(payload: bytes) -> bytes:
    return _whole(bz2.BZ2Decompressor().decompress(payload), payload)


def _lzma(payload: bytes) -> bytes:
    return _whole(lzma.LZMADecompressor().decompress(payload), payload)


def _whole(found: bytes, payload: bytes) -> bytes:
    if len(found) != _size(payload):
        raise ValueError(f"found {len(found)} bytes in it, expected {_size(payload)}")
    return found


def _zstd(payload: bytes) -> bytes:
    library = _library("libzstd.so.1", "libzstd1")
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_decompress.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
    size = _size(payload)
    into = ctypes.create_string_buffer(size)
    # What is behind the frame is no frame: the size must not be given to the library.
    found = library.ZSTD_decompress(into, size, payload, len(payload) - 4)
    if found != size:
        raise ValueError(f"zstd answers {found}, expected {size} bytes")
    return into.raw


def _lz4(payload: bytes) -> bytes:
    library = _library("liblz4.so.1", "liblz4-1")
    library.LZ4_decompress_safe.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)
    into = ctypes.create_string_buffer(_LZ4_BLOCK)
    found = bytearray()
    at, end, size = 4, len(payload) - 4, _size(payload)
    while at < end and len(found) < size:
        length = struct.unpack_from("<I", payload, at)[0]
        block = payload[at + 4 : at + 4 + length]
        got = library.LZ4_decompress_safe(block, into, len(block), _LZ4_BLOCK)
        if got < 0:
            raise ValueError(f"lz4 answers {got} for the block at byte {at}")
        found += into.raw[:got]
        at += 4 + length
    if len(found) != size:
        raise ValueError(f"lz4 found {len(found)} bytes, expected {size}")
    return bytes(found)


def _library(name: str, package: str) -> ctypes.CDLL:
    """A library that Python's standard library has no module for. On Debian apt and dpkg need both."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise SetupError(
            f"expected the library {name}, which this kernel is compressed for, found none. On Debian it is in the "
            f"package {package}."
        ) from error


_FORMATS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\x5d\x00\x00": _lzma,
    b"\xfd7zXZ\x00": _lzma,
    b"\x02\x21\x4c\x18": _lz4,
    b"\x28\xb5\x2f\xfd": _zstd,
}
