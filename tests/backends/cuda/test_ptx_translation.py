"""The machine that runs PTX on the host, by small programs whose results the PTX ISA defines."""

import ctypes
import struct

import numpy as np
import pytest
from ptx_host import build
from ptx_to_cpp import UnknownInstructionError, translate

from neuron_xp.backends.cuda_kernels.problem import Launch

MODULE = """
.version 9.0
.target sm_90
.address_size 64
.extern .shared .align 16 .b8 dynamic[];
.const .align 8 .f64 constants[2] = {0d3FF0000000000000, 0d4000000000000000};
.func (.param .b64 result) twice(.param .b64 given) {
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [given];
    shl.b64 %rd2, %rd1, 1;
    st.param.b64 [result+0], %rd2;
    ret;
}
"""
ENTRY = """
.visible .entry kernel(.param .u64 given) .maxntid 64, 1, 1 {
    .reg .pred %%p<10>;
    .reg .b32 %%r<20>;
    .reg .f64 %%fd<10>;
    .reg .b64 %%rd<20>;
    ld.param.u64 %%rd1, [given];  // (results, threads)
    cvta.to.global.u64 %%rd1, %%rd1;
    mov.u32 %%r1, %%tid.x;
    mul.wide.u32 %%rd2, %%r1, 8;
    add.s64 %%rd2, %%rd2, %%rd1;
    %s
    ret;
}
"""


def run(body, results, threads=64, backwards=False, shared_bytes=0):
    """Run a kernel that writes (results, threads) numbers."""
    found = np.zeros((results, threads), dtype=np.uint64)
    address = ctypes.c_void_p(found.ctypes.data)
    launch = Launch(1, threads, shared_bytes)
    build(MODULE + ENTRY % body).launch("kernel", launch, backwards, address)
    return found.tolist()


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def f64(x):
    return f"0d{bits(x):016X}"


NAN, SMALL = float("nan"), 2.0**-30
ALL_ONES, HIGHEST_BIT = 2**64 - 1, 2**63

# Each leaves its result in %r9, %rd9, %fd9 or %p9.
INSTRUCTIONS = {
    "bfe.u32 %r9, 0x12345678, 8, 12": 0x456,
    "bfe.s32 %r9, 0x1234F678, 12, 4": 2**32 - 1,
    "bfi.b64 %rd9, 5, 1, 32, 32": 5 << 32 | 1,
    "prmt.b32 %r9, 0x33221100, 0x77665544, 0x6521": 0x66552211,
    "prmt.b32 %r9, 0x80, 0, 0x4448": 0xFF,
    "shf.l.wrap.b32 %r9, 0x80000000, 1, 36": 0x18,
    "shf.r.clamp.b32 %r9, 0, 1, 40": 1,
    "lop3.b32 %r9, 12, 10, 9, 0x96": 12 ^ 10 ^ 9,
    "popc.b32 %r9, 0xF0F": 8,
    "clz.b64 %r9, 1": 63,
    "brev.b32 %r9, 1": 2**31,
    "mul.hi.u64 %rd9, 0x8000000000000000, 6": 3,
    "mul.hi.s32 %r9, -1, 2": 2**32 - 1,
    "mul.wide.s32 %rd9, -2, 3": 2**64 - 6,
    "mul.wide.u32 %rd9, -2, 3": (2**32 - 2) * 3,
    "mul.lo.s64 %rd9, 0x7fffffffffffffff, 2": 2**64 - 2,
    "mad.lo.s32 %r9, 7, -3, 1": 2**32 - 20,
    "div.s32 %r9, -7, 2": 2**32 - 3,
    "rem.s32 %r9, -7, 2": 2**32 - 1,
    "shl.b32 %r9, 1, 32": 0,
    "shr.s64 %rd9, -8, 70": ALL_ONES,
    "shr.u32 %r9, -1, 31": 1,
    "min.s32 %r9, -1, 1": 2**32 - 1,
    "min.u32 %r9, -1, 1": 1,
    "abs.s32 %r9, -5": 5,
    "selp.b64 %rd9, 1, 2, %p1": 2,
    "mov.b64 %rd9, {1, 2}": 2 << 32 | 1,
    "cvt.s64.s32 %rd9, -1": ALL_ONES,
    "cvt.u64.u32 %rd9, -1": 2**32 - 1,
    "cvt.u32.u64 %r9, 0x100000002": 2,
    "cvt.rn.f64.s64 %fd9, 9007199254740993": bits(2.0**53),
    f"cvt.rzi.s64.f64 %rd9, {f64(NAN)}": HIGHEST_BIT,
    f"cvt.rzi.s32.f64 %r9, {f64(1e300)}": 2**31 - 1,
    f"cvt.rzi.u32.f64 %r9, {f64(-1.0)}": 0,
    f"cvt.rzi.s64.f64 %rd9, {f64(-2.75)}": 2**64 - 2,
    f"cvt.rni.s32.f64 %r9, {f64(2.5)}": 2,
    f"cvt.rni.f64.f64 %fd9, {f64(-0.5)}": bits(-0.0),
    f"add.rn.f64 %fd9, {f64(1.0)}, {f64(2.0**-53)}": bits(1.0),
    f"mul.rn.f64 %fd9, {f64(2.0**-1000)}, {f64(2.0**-60)}": bits(2.0**-1060),
    f"fma.rn.f64 %fd9, {f64(1 + SMALL)}, {f64(1 + SMALL)}, {f64(-1 - 2 * SMALL)}": bits(2.0**-60),
    f"rcp.rn.f64 %fd9, {f64(3.0)}": bits(1 / 3),
    f"div.rn.f64 %fd9, {f64(2.0)}, {f64(3.0)}": bits(2 / 3),
    f"max.f64 %fd9, {f64(NAN)}, {f64(1.0)}": bits(1.0),
    f"min.f64 %fd9, {f64(0.0)}, {f64(-0.0)}": bits(-0.0),
    f"neg.f64 %fd9, {f64(0.0)}": bits(-0.0),
    f"abs.f64 %fd9, {f64(-0.0)}": 0,
    f"copysign.f64 %fd9, {f64(-1.0)}, {f64(3.0)}": bits(-3.0),
    f"setp.lt.f64 %p9, {f64(NAN)}, {f64(1.0)}": 0,
    f"setp.ltu.f64 %p9, {f64(NAN)}, {f64(1.0)}": 1,
    f"setp.ne.f64 %p9, {f64(NAN)}, {f64(NAN)}": 0,
    f"setp.neu.f64 %p9, {f64(NAN)}, {f64(NAN)}": 1,
    "setp.lt.s32 %p9, -1, 1": 1,
    "setp.lt.u32 %p9, -1, 1": 0,
    "setp.eq.or.b64 %p9, 1, 2, !%p1": 1,
    "@!%p1 mov.u64 %rd9, 7": 7,
    "@%p1 mov.u64 %rd9, 7": 0,
    "ld.const.f64 %fd9, [constants+8]": bits(2.0),
    "{ .param .b64 a; .param .b64 b; st.param.b64 [a+0], 21; call.uni (b), twice, (a);"
    " ld.param.b64 %rd9, [b+0]; }": 42,
}
TO_64_BITS = {
    "%r9": "cvt.u64.u32 %rd9, %r9;",
    "%p9": "selp.u64 %rd9, 1, 0, %p9;",
    "%fd9": "mov.b64 %rd9, %fd9;",
}


def test_instructions_do_what_the_isa_says():
    lines = ["setp.eq.u32 %p1, 1, 2;"]
    for i, instruction in enumerate(INSTRUCTIONS):
        end = "" if instruction.startswith("{") else ";"
        kept = next((text for name, text in TO_64_BITS.items() if f"{name}," in instruction), "")
        lines += ["mov.u64 %rd9, 0;", f"{instruction}{end}", kept, f"st.b64 [%rd1+{8 * i}], %rd9;"]
    found = run("\n".join(lines), len(INSTRUCTIONS), threads=1)
    assert dict(zip(INSTRUCTIONS, (x for (x,) in found), strict=True)) == INSTRUCTIONS


# Each leaves its result in %rd9; %rd1 is where zeros are, for all.
TOGETHER = {
    "butterfly": "shfl.sync.bfly.b32 %r9, %r1, 5, 31, -1; cvt.u64.u32 %rd9, %r9;",
    "of lane 3": "shfl.sync.idx.b32 %r9|%p2, %r1, 3, 31, -1; cvt.u64.u32 %rd9, %r9;",
    "of its eight": "shfl.sync.idx.b32 %r9, %r1, 3, 0x181f, -1; cvt.u64.u32 %rd9, %r9;",
    "found above": "shfl.sync.down.b32 %r9|%p2, %r1, 2, 31, -1; selp.u64 %rd9, 1, 0, %p2;",
    "below": "shfl.sync.up.b32 %r9, %r1, 1, 0, -1; cvt.u64.u32 %rd9, %r9;",
    "halves": """setp.lt.u32 %p2, %r2, 16; selp.b32 %r3, 0xffff, 0xffff0000, %p2;
        @%p2 bra $LOW; shfl.sync.bfly.b32 %r9, %r1, 1, 31, %r3; bra.uni $BOTH;
        $LOW: shfl.sync.bfly.b32 %r9, %r1, 2, 31, %r3; $BOTH: cvt.u64.u32 %rd9, %r9;""",
    "vote": """setp.lt.u32 %p2, %r2, 3; vote.sync.ballot.b32 %r9, %p2, -1;
        cvt.u64.u32 %rd9, %r9;""",
    "block": """setp.eq.u32 %p2, %r1, 40; bar.red.or.pred %p3, 0, %p2;
        selp.u64 %rd9, 1, 0, %p3;""",
    "shared": """st.shared.u64 [%r4], %rd3; bar.sync 0; ld.shared.u64 %rd9, [%r5];
        bar.sync 0;""",
    "generic": """cvt.u64.u32 %rd4, %r4; cvta.shared.u64 %rd4, %rd4; st.u64 [%rd4], %rd3;
        bar.warp.sync -1; xor.b64 %rd4, %rd4, 8; ld.u64 %rd9, [%rd4]; bar.sync 0;""",
    "vector": """shr.u32 %r6, %r1, 1; shl.b32 %r6, %r6, 4; st.shared.u64 [%r4], %rd3; bar.sync 0;
        mov.u32 %r7, dynamic; add.s32 %r6, %r6, %r7; ld.shared.v2.u64 {%rd9, %rd4}, [%r6];
        bar.sync 0;""",
    "copied": """bar.sync 0; st.global.u64 [%rd2], %rd3; cp.async.ca.shared.global [%r4], [%rd2], 8;
        cp.async.commit_group; cp.async.wait_group 0; bar.sync 0; ld.shared.u64 %rd9, [%r5];
        mov.u64 %rd4, 0; st.global.u64 [%rd2], %rd4; bar.sync 0;""",
    "counted": "atom.global.add.u32 %r9, [%rd1], 1; cvt.u64.u32 %rd9, %r9; membar.gl;",
    "around": "bar.sync 0; atom.relaxed.gpu.inc.u32 %r9, [%rd1+8], 9; cvt.u64.u32 %rd9, %r9;",
    "most": "atom.global.max.s64 %rd9, [%rd1+16], %rd3; bar.sync 0; ld.global.u64 %rd9, [%rd1+16];",
    "table": """and.b32 %r6, %r1, 1; mov.u64 %rd9, 5; $PLACES: .branchtargets $EVEN, $ODD;
        brx.idx %r6, $PLACES; $ODD: mov.u64 %rd9, 6; $EVEN: mov.u32 %r6, 0;""",
}  # fmt: skip
T = range(64)
EXPECTED = {
    "butterfly": [t ^ 5 for t in T],
    "of lane 3": [t // 32 * 32 + 3 for t in T],
    "of its eight": [t // 8 * 8 + 3 for t in T],
    "found above": [int(t % 32 < 30) for t in T],
    "below": [t - (t % 32 > 0) for t in T],
    "halves": [t ^ (2 if t % 32 < 16 else 1) for t in T],
    "vote": [0b111] * 64,
    "block": [1] * 64,
    "shared": [(t + 1) % 64 for t in T],
    "generic": [t ^ 1 for t in T],
    "vector": [t // 2 * 2 for t in T],
    "copied": [(t + 1) % 64 for t in T],
    "counted": list(T),
    "around": sorted(t % 10 for t in T),
    "most": [63] * 64,
    "table": [5 + t % 2 for t in T],
}
START = """
    mov.u32 %r2, %laneid;
    cvt.u64.u32 %rd3, %r1;
    shl.b32 %r4, %r1, 3;
    mov.u32 %r8, dynamic;
    add.s32 %r4, %r4, %r8;
    add.s32 %r5, %r1, 1;
    and.b32 %r5, %r5, 63;
    shl.b32 %r5, %r5, 3;
    add.s32 %r5, %r5, %r8;
"""


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_threads_work_together_as_the_isa_says(backwards):
    # the first row is theirs to count in
    keep = [
        f"{text}\nst.u64 [%rd2+{512 * i}], %rd9;" for i, text in enumerate(TOGETHER.values(), 1)
    ]
    body = START + "\n".join(keep)
    found = run(body, len(TOGETHER) + 1, backwards=backwards, shared_bytes=512)[1:]
    found = dict(zip(TOGETHER, found, strict=True))
    for in_turn in ("counted", "around"):  # whoever comes first
        found[in_turn].sort()
    assert found == EXPECTED


FAULTS = {
    "wait for each other for ever": "setp.eq.u32 %p1, %r1, 0; @%p1 bar.sync 0;",
    "writes beyond the shared memory": "st.shared.u64 [512], 1;",
    "an address beyond shared memory": "st.shared.u64 [0x100000], 1;",
    "a vector at an odd address": "ld.global.v2.u64 {%rd5, %rd6}, [%rd2];",
    "a mask that leaves it out": "bar.warp.sync 1;",
    "in different instructions": """setp.eq.u32 %p1, %r1, 0; @%p1 bra $A; bar.warp.sync -1; ret;
        $A: shfl.sync.idx.b32 %r9, %r1, 0, 31, -1;""",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_device_would_not_run_is_a_fault(fault):
    with pytest.raises(AssertionError, match=fault):
        run(FAULTS[fault], 1, shared_bytes=512)


def test_a_block_has_no_more_threads_than_its_kernel_is_compiled_for():
    with pytest.raises(AssertionError, match="more threads than the kernel"):
        run("", 1, threads=96)


def test_a_copy_that_is_not_waited_for_has_not_arrived():
    body = (
        START
        + """st.global.u64 [%rd2], %rd3; cp.async.ca.shared.global [%r4], [%rd2], 8;
        ld.shared.u64 %rd9, [%r4]; st.global.u64 [%rd2], %rd9;"""
    )
    assert run(body, 1, shared_bytes=512) == [[ALL_ONES] * 64]


@pytest.mark.parametrize(
    "instruction",
    [
        "frobnicate.rn.f64 %fd1, %fd2",
        "add.rz.f64 %fd1, %fd2, %fd3",  # another rounding
        "mul.ftz.f32 %f1, %f2, %f3",  # of the options
        "rcp.approx.ftz.f64 %fd1, %fd2",
        "atom.global.add.f64 %fd1, [%rd1], %fd2",  # in any order
        "add.s64 %rd3, %rd4, %rd5, %rd6",
        "ld.global.v8.f64 {%fd1, %fd2}, [%rd1]",
    ],
)
def test_an_unknown_instruction_is_an_error(instruction):
    with pytest.raises(UnknownInstructionError, match=instruction.replace("[", r"\[").split()[0]):
        translate(MODULE + ENTRY % f"{instruction};")
