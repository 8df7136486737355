"""Vector instructions for the coverage kernel: sums of distances over 16-bit columns, counts and
bit masks.

Why: a compiler that sees `abs(int(a) - int(b))` on uint16 widens it to 32 or 64 bits and loses most
lanes. Here the lanes stay 16 bits wide: |a - c| is max(a, c) - min(a, c). The code is LLVM vector
arithmetic, not tied to one
processor: it becomes AVX-512, AVX2, SSE or NEON, whatever the machine has.

All functions take addresses (`array.ctypes.data`) and run over `groups` of 32 lanes; the caller
pads to whole words of 64 lanes.
"""

from __future__ import annotations

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 32
WORD = 64  # lanes of one bit mask; columns are padded to a multiple of it

_U16 = ir.IntType(16)
_I64 = ir.IntType(64)


def _vector(lanes: int) -> ir.VectorType:
    return ir.VectorType(_U16, lanes)


def _splat(builder, scalar, lanes: int):
    """A vector with the low 16 bits of `scalar` in every lane."""
    small = builder.trunc(scalar, _U16)
    one = builder.insert_element(
        ir.Constant(_vector(lanes), ir.Undefined), small, ir.Constant(ir.IntType(32), 0)
    )
    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(_vector(lanes), ir.Undefined), mask)


def _at(builder, address, index, lanes: int):
    """Pointer to lane group `index` (of `lanes` uint16) behind `address`."""
    pointer = builder.inttoptr(address, _vector(lanes).as_pointer())
    return builder.gep(pointer, [index])


def _load(builder, address, index, lanes: int):
    return builder.load(_at(builder, address, index, lanes), align=2)


def _call(builder, name: str, kind, *values, result=None):
    """Call LLVM's intrinsic `name` for values of one kind, e.g. llvm.umax.v32i16."""
    suffix = (
        f"v{kind.count}i{kind.element.width}"
        if isinstance(kind, ir.VectorType)
        else f"i{kind.width}"
    )
    shape = ir.FunctionType(result or kind, [value.type for value in values])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, shape, f"{name}.{suffix}"), values
    )


def _gap(builder, lane, centre, shift):
    """|lane - centre| >> shift in each lane."""
    kind = lane.type
    high = _call(builder, "llvm.umax", kind, lane, centre)
    low = _call(builder, "llvm.umin", kind, lane, centre)
    return builder.lshr(builder.sub(high, low), shift)


def _pass(builder, out, groups, gap):
    """Store gap(group) for every group of lanes; returns the smallest lane as int64."""
    kind = _vector(LANES)
    least = cgutils.alloca_once_value(builder, ir.Constant(kind, [65535] * LANES))
    with cgutils.for_range(builder, groups) as loop:
        found = gap(loop.index)
        builder.store(found, _at(builder, out, loop.index, LANES), align=2)
        builder.store(_call(builder, "llvm.umin", kind, builder.load(least), found), least)
    return builder.zext(
        _call(builder, "llvm.vector.reduce.umin", kind, builder.load(least), result=_U16), _I64
    )


_INT = types.int64


@intrinsic
def gaps_two(context, out, groups, a, centre_a, shift_a, b, centre_b, shift_b):  # noqa: PLR0913
    """Sum of two columns' distances, out = (|a - c_a| >> s_a) + (|b - c_b| >> s_b), saturating.

    Parameters
    ----------
    out, a, b : int
        Addresses of uint16 lanes; `out` is written.
    groups : int
        Groups of 32 lanes.
    centre_a, shift_a, centre_b, shift_b : int
        c and s of each column.

    Returns
    -------
    int
        The smallest lane.
    """

    def build(context, builder, signature, arguments):
        out, groups, a, at_a, by_a, b, at_b, by_b = arguments
        at_a, by_a, at_b, by_b = (
            _splat(builder, value, LANES) for value in (at_a, by_a, at_b, by_b)
        )

        def gap(index):
            first = _gap(builder, _load(builder, a, index, LANES), at_a, by_a)
            second = _gap(builder, _load(builder, b, index, LANES), at_b, by_b)
            return _call(builder, "llvm.uadd.sat", first.type, first, second)

        return _pass(builder, out, groups, gap)

    return _INT(*[_INT] * 8), build


@intrinsic
def gaps_first(context, out, groups, a, centre, shift):
    """Distances of one column, out = |a - centre| >> shift.

    Parameters
    ----------
    out, a : int
        Addresses of uint16 lanes; `out` is written.
    groups : int
        Groups of 32 lanes.
    centre, shift : int
        Level of the centre, and bits that the distance is shifted by.

    Returns
    -------
    int
        The smallest lane.
    """

    def build(context, builder, signature, arguments):
        out, groups, a, centre, shift = arguments
        centre = _splat(builder, centre, LANES)
        shift = _splat(builder, shift, LANES)
        return _pass(
            builder,
            out,
            groups,
            lambda i: _gap(builder, _load(builder, a, i, LANES), centre, shift),
        )

    return _INT(*[_INT] * 5), build


@intrinsic
def gaps_more(context, out, groups, a, centre, shift):
    """Add a further column's distances, out += |a - centre| >> shift, saturating.

    Parameters
    ----------
    out, groups, a, centre, shift
        As in `gaps_first`; `out` is added to.

    Returns
    -------
    int
        The smallest lane.
    """

    def build(context, builder, signature, arguments):
        out, groups, a, centre, shift = arguments
        centre = _splat(builder, centre, LANES)
        shift = _splat(builder, shift, LANES)

        def gap(index):
            one = _gap(builder, _load(builder, a, index, LANES), centre, shift)
            return _call(builder, "llvm.uadd.sat", one.type, _load(builder, out, index, LANES), one)

        return _pass(builder, out, groups, gap)

    return _INT(*[_INT] * 5), build


@intrinsic
def count_within(context, lanes, start, groups, limit):
    """How many lanes are <= limit.

    Parameters
    ----------
    lanes : int
        Address of uint16 lanes.
    start, groups : int
        Groups of 32 lanes in [start, start + groups).
    limit : int
        In [0, 65535].
    """

    def build(context, builder, signature, arguments):
        address, start, groups, limit = arguments
        limit = _splat(builder, limit, LANES)
        total = cgutils.alloca_once_value(builder, ir.Constant(_I64, 0))
        with cgutils.for_range(builder, groups) as loop:
            lane = _load(builder, address, builder.add(start, loop.index), LANES)
            bits = builder.bitcast(builder.icmp_unsigned("<=", lane, limit), ir.IntType(LANES))
            ones = builder.zext(_call(builder, "llvm.ctpop", ir.IntType(LANES), bits), _I64)
            builder.store(builder.add(builder.load(total), ones), total)
        return builder.load(total)

    return _INT(*[_INT] * 4), build


@intrinsic
def mask_within(context, lanes, word, limit):
    """A word whose bit i is set where lane 64 * word + i <= limit.

    Parameters
    ----------
    lanes : int
        Address of uint16 lanes.
    word : int
        Number of the word.
    limit : int
        In [0, 65535].
    """

    def build(context, builder, signature, arguments):
        address, word, limit = arguments
        lane = _load(builder, address, word, WORD)
        return builder.bitcast(
            builder.icmp_unsigned("<=", lane, _splat(builder, limit, WORD)), _I64
        )

    return types.uint64(*[_INT] * 3), build


@intrinsic
def lowest_bit(context, word):
    """Index of the lowest set bit of a word; 64 when there is none."""

    def build(context, builder, signature, arguments):
        return _call(builder, "llvm.cttz", _I64, arguments[0], ir.Constant(ir.IntType(1), 0))

    return _INT(types.uint64), build


@intrinsic
def count_bits(context, word):
    """How many bits of a word are set."""

    def build(context, builder, signature, arguments):
        return _call(builder, "llvm.ctpop", _I64, arguments[0])

    return _INT(types.uint64), build


@intrinsic
def prefetch(context, address):
    """Ask for the cache line at an address that will be read soon."""

    def build(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0")
        builder.call(
            ask,
            [
                builder.inttoptr(arguments[0], byte),
                *(ir.Constant(number, what) for what in (0, 3, 1)),
            ],
        )
        return context.get_dummy_value()

    return types.void(_INT), build


@numba.njit(nogil=True)
def collect(lanes, words, limit, out):
    """Write the positions of lanes <= limit, ascending.

    A word often holds one or two: those are written unconditionally, which saves a mispredicted
    branch a word. Unsigned places spare the check for negative ones.

    Parameters
    ----------
    lanes : int
        Address of uint16 lanes.
    words : int
        Words of 64 lanes.
    limit : int
        In [0, 65535].
    out : (lanes + 64,) uint32
        Written.

    Returns
    -------
    int
        How many.
    """
    found = numba.uint64(0)
    one = numba.uint64(1)
    for word in range(words):
        mask = mask_within(lanes, word, limit)
        base = word * WORD
        count = numba.uint64(count_bits(mask))
        out[found] = base + lowest_bit(mask)
        mask &= mask - one
        out[found + one] = base + lowest_bit(mask)
        mask &= mask - one
        next_slot = found + one + one
        while mask:
            out[next_slot] = base + lowest_bit(mask)
            mask &= mask - one
            next_slot += one
        found += count
    return numba.int64(found)


@numba.njit(nogil=True)
def collect_few(lanes, words, limit, out):
    """`collect` where nearly every word is empty.

    Parameters
    ----------
    lanes, words, limit, out
        As in `collect`.
    """
    found = numba.uint64(0)
    one = numba.uint64(1)
    for word in range(words):
        mask = mask_within(lanes, word, limit)
        while mask:
            out[found] = word * WORD + lowest_bit(mask)
            mask &= mask - one
            found += one
    return numba.int64(found)


@intrinsic
def mask_equal(context, lanes, word, value):
    """A word whose bit i is set where lane 64 * word + i == value.

    Parameters
    ----------
    lanes : int
        Address of uint16 lanes.
    word : int
        Number of the word.
    value : int
        In [0, 65535].
    """

    def build(context, builder, signature, arguments):
        address, word, value = arguments
        lane = _load(builder, address, word, WORD)
        return builder.bitcast(
            builder.icmp_unsigned("==", lane, _splat(builder, value, WORD)), _I64
        )

    return types.uint64(*[_INT] * 3), build
