"""The instructions of PTX that the host can run, each with what it does in C++.

An instruction becomes the statement in the row that its opcode matches; ptx_machine.hpp says what
the functions in it do. What has no row is refused: nothing is guessed, and nothing left out.
"""

I, B, F = r"(?P<t>[su](?:16|32|64))", r"(?P<t>b(?:16|32|64))", "(?P<t>f64)"  # noqa: E741
NUMBER = r"(?P<t>[su](?:16|32|64)|f64)"
ANY = r"(?P<t>[busf]\d+|pred)"
COMPARE = "(?P<compare>lt|le|gt|ge|eq|ne|ltu|leu|gtu|geu|equ|neu|num|nan)"
SPACE = r"(?:\.(?:global|shared|local|const|param))?"
ORDER = r"(?:\.(?:volatile|weak|relaxed|acquire|release|acq_rel|cta|gpu|sys))*"
CACHE = r"(?:\.(?:ca|cg|cs|lu|cv|wb|wt|nc|L1::\w+|L2::\w+))*"
LOAD = rf"{ORDER}{SPACE}{CACHE}(?:\.v[24])?\.{ANY}"
ATOMIC = rf"{ORDER}{SPACE}{CACHE}\.(?P<do>add|min|max|and|or|xor|exch|inc|dec)\.(?P<t>[bsu]\d+)"

# {a} {b} {c} are operands of the type {t}; {A} {B} ... are operands as they stand; {n} and {i} tell
# how many registers of a vector there are, and which of them this is.
VALUES = {
    rf"mov\.{ANY}": "{a}",
    r"mov\.(?P<t>b32|b64) to several": "piece({a}, {n}, {i})",
    rf"selp\.{ANY}": "as<pred>({C}) ? {a} : {b}",
    rf"cvta(?:\.to)?(?:\.(?:global|local|const|param))?\.{I}": "{a}",
    rf"cvta\.shared\.{I}": "in_shared({a})",
    rf"cvta\.to\.shared\.{I}": "{a} - shared_start()",
    # integers
    rf"add\.{I}": "{a} + {b}",
    rf"sub\.{I}": "{a} - {b}",
    rf"mul\.lo\.{I}": "{a} * {b}",
    rf"mul\.hi\.{I}": "high({a}, {b})",
    rf"mul\.wide\.{I}": "wide({a}) * wide({b})",
    rf"mad\.lo\.{I}": "{a} * {b} + {c}",
    rf"mad\.hi\.{I}": "high({a}, {b}) + {c}",
    rf"mad\.wide\.{I}": "wide({a}) * wide({b}) + as<Wide<{t}>>({C})",
    rf"div\.{I}": "quotient({a}, {b})",
    rf"rem\.{I}": "rest({a}, {b})",
    rf"min\.{NUMBER}": "smaller({a}, {b})",
    rf"max\.{NUMBER}": "larger({a}, {b})",
    rf"abs\.{NUMBER}": "absolute({a})",
    rf"neg\.{NUMBER}": "-{a}",
    rf"and\.{B}": "{a} & {b}",
    rf"or\.{B}": "{a} | {b}",
    rf"xor\.{B}": "{a} ^ {b}",
    rf"not\.{B}": "~{a}",
    r"(?P<op>and|or|xor)\.(?P<t>pred)": "join_{op}({a}, {b})",
    r"not\.(?P<t>pred)": "!{a}",
    rf"shl\.{B}": "left({a}, as<u32>({B}))",
    r"shr\.(?P<t>[bsu](?:16|32|64))": "right({a}, as<u32>({B}))",
    r"shf\.l\.wrap\.(?P<t>b32)": "funnel_left({a}, {b}, {c} & 31)",
    r"shf\.r\.wrap\.(?P<t>b32)": "funnel_right({a}, {b}, {c} & 31)",
    r"shf\.l\.clamp\.(?P<t>b32)": "funnel_left({a}, {b}, std::min({c}, 32u))",
    r"shf\.r\.clamp\.(?P<t>b32)": "funnel_right({a}, {b}, std::min({c}, 32u))",
    rf"bfe\.{I}": "field({a}, as<u32>({B}), as<u32>({C}))",
    rf"bfi\.{B}": "put_field({a}, {b}, as<u32>({C}), as<u32>({D}))",
    r"prmt\.(?P<t>b32)": "permute({a}, {b}, {c})",
    r"lop3\.(?P<t>b32)": "by_table({a}, {b}, {c}, {D})",
    rf"brev\.{B}": "reversed({a})",
    rf"clz\.{B}": "leading_zeros({a})",
    rf"popc\.{B}": "__builtin_popcountll({a})",
    # floats of 64 bits alone: what the options do to those of 32 is another arithmetic
    rf"add(?:\.rn)?\.{F}": "{a} + {b}",
    rf"sub(?:\.rn)?\.{F}": "{a} - {b}",
    rf"mul(?:\.rn)?\.{F}": "{a} * {b}",
    rf"fma\.rn\.{F}": "std::fma({a}, {b}, {c})",
    rf"div\.rn\.{F}": "{a} / {b}",
    rf"rcp\.rn\.{F}": "1.0 / {a}",
    rf"sqrt\.rn\.{F}": "std::sqrt({a})",
    rf"copysign\.{F}": "std::copysign({b}, {a})",
    rf"testp\.number\.{F}": "{a} == {a}",
    rf"testp\.notanumber\.{F}": "{a} != {a}",
    rf"testp\.finite\.{F}": "std::isfinite({a})",
    rf"testp\.infinite\.{F}": "std::isinf({a})",
    # comparisons
    rf"setp\.{COMPARE}\.{ANY}": ("compare_{compare}({a}, {b})", "!compare_{compare}({a}, {b})"),
    rf"setp\.{COMPARE}\.(?P<join>and|or|xor)\.{ANY}": (
        "join_{join}(compare_{compare}({a}, {b}), as<pred>({C}))",
        "join_{join}(!compare_{compare}({a}, {b}), as<pred>({C}))",
    ),
    # from type to type
    r"cvt\.(?P<to>[su]\d+)\.(?P<t>[su]\d+)": "as<{to}>({a})",
    r"cvt\.rn\.f64\.(?P<t>[su]\d+)": "f64({a})",
    rf"cvt\.(?P<how>rni|rzi|rmi|rpi)\.f64\.{F}": "rounded_{how}({a})",
    rf"cvt\.(?P<how>rni|rzi|rmi|rpi)\.(?P<to>[su]\d+)\.{F}": "integer<{to}>(rounded_{how}({a}))",
    # memory
    rf"ldu?{LOAD}": "load<{t}, {n}>({A}, {i})",
    rf"atom{ATOMIC}": "atomic_{do}<{t}>({A}, {b})",
    rf"atom{ORDER}{SPACE}\.cas\.(?P<t>b\d+)": "atomic_cas<{t}>({A}, {b}, {c})",
    # other threads
    r"shfl\.sync\.(?P<mode>[a-z])\w*\.(?P<t>b32)": (
        "(received = fibers::shuffle('{mode}', {a}, {b}, {c}, as<u32>({D}))).number",
        "received.found",
    ),
    r"vote\.sync\.ballot\.b32": "fibers::ballot(as<pred>({A}), as<u32>({B}))",
    r"vote\.sync\.any\.pred": "fibers::ballot(as<pred>({A}), as<u32>({B})) != 0",
    r"vote\.sync\.all\.pred": "fibers::ballot(as<pred>({A}), as<u32>({B})) == as<u32>({B})",
    r"(?:bar|barrier)(?:\.cta)?\.red\.or\.pred": "vote_of_block({all}) > 0",
    r"(?:bar|barrier)(?:\.cta)?\.red\.and\.pred": "vote_of_block({all}) == fibers::grid.threads",
    r"(?:bar|barrier)(?:\.cta)?\.red\.popc\.u32": "vote_of_block({all})",
    r"activemask\.b32": "fibers::EVERY_LANE",
}
EFFECTS = {
    rf"st{LOAD}": "store<{t}, {n}>({A}, {i}, {b})",
    rf"red{ATOMIC}": "atomic_{do}<{t}>({A}, {b})",
    r"(?:bar|barrier)(?:\.cta)?\.sync(?:\.aligned)?": "fibers::wait({all})",
    r"bar\.warp\.sync": "fibers::wait_for_lanes(as<u32>({A}))",
    r"(?:membar\.(?:cta|gl|sys)|fence(?:\.(?:sc|acq_rel|acquire|release|cta|gpu|sys))+)": "",
    r"prefetchu?(?:\.(?:global|L1|L2|L2::\w+))+": "(void)({A})",
    rf"cp\.async\.(?:ca|cg)\.shared\.global{CACHE}": "copy_later(in_shared({A}), {rest})",
    r"cp\.async\.commit_group": "close_group()",
    r"cp\.async\.wait_group": "wait_for_groups({A})",
    r"cp\.async\.wait_all": "close_group(), wait_for_groups(0)",
    r"bra(?:\.uni)?": "goto {A}",
    r"(?:ret|exit)(?:\.uni)?": "return",
    r"trap": 'fibers::fail("the kernel stops itself")',
}

SPECIAL = {
    "%tid.x": "fibers::self->index",
    "%ntid.x": "fibers::grid.threads",
    "%ctaid.x": "fibers::grid.block",
    "%nctaid.x": "fibers::grid.blocks",
    "%laneid": "fibers::lane()",
    "%warpid": "fibers::self->index / fibers::LANES",
    **{f"%{name}.{axis}": "0u" for name in ("tid", "ctaid") for axis in "yz"},
    **{f"%{name}.{axis}": "1u" for name in ("ntid", "nctaid") for axis in "yz"},
}
