"""XXH3-64 for 1 to 128 bytes, written from its specification: an oracle for the vectors."""

from __future__ import annotations

_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
)
_PRIME_1 = 0x9E3779B185EBCA87
_PRIME_2 = 0xC2B2AE3D27D4EB4F
_PRIME_3 = 0x165667B19E3779F9
_PRIME_MX_1 = 0x165667919E3779F9
_PRIME_MX_2 = 0x9FB21C651E98DF25
_WORD = 2**64 - 1


def xxh3_64(data: bytes) -> int:
    size = len(data)
    if size <= 3:
        return _of_3(data)
    if size <= 8:
        return _of_8(data)
    if size <= 16:
        return _of_16(data)
    total = size * _PRIME_1
    for step in range((size - 1) // 32, -1, -1):
        total += _mixed(data, 16 * step, 32 * step)
        total += _mixed(data, size - 16 * step - 16, 32 * step + 16)
    return _avalanche(total & _WORD)


def _read(data: bytes, start: int, size: int = 8) -> int:
    return int.from_bytes(data[start : start + size], "little")


def _folded(first: int, second: int) -> int:
    product = first * second
    return (product & _WORD) ^ (product >> 64)


def _mixed(data: bytes, start: int, secret: int) -> int:
    return _folded(
        _read(data, start) ^ _read(_SECRET, secret),
        _read(data, start + 8) ^ _read(_SECRET, secret + 8),
    )


def _avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * _PRIME_MX_1 & _WORD
    return value ^ value >> 32


def _of_3(data: bytes) -> int:
    size = len(data)
    value = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
    value ^= _read(_SECRET, 0, 4) ^ _read(_SECRET, 4, 4)
    value = (value ^ value >> 33) * _PRIME_2 & _WORD
    value = (value ^ value >> 29) * _PRIME_3 & _WORD
    return value ^ value >> 32


def _of_8(data: bytes) -> int:
    size = len(data)
    value = _read(data, size - 4, 4) + (_read(data, 0, 4) << 32)
    value ^= _read(_SECRET, 8) ^ _read(_SECRET, 16)
    value ^= _rotated(value, 49) ^ _rotated(value, 24)
    value = value * _PRIME_MX_2 & _WORD
    value ^= (value >> 35) + size
    value = value * _PRIME_MX_2 & _WORD
    return value ^ value >> 28


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _WORD


def _of_16(data: bytes) -> int:
    size = len(data)
    low = _read(data, 0) ^ _read(_SECRET, 24) ^ _read(_SECRET, 32)
    high = _read(data, size - 8) ^ _read(_SECRET, 40) ^ _read(_SECRET, 48)
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return _avalanche(size + swapped + high + _folded(low, high) & _WORD)
