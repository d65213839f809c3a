"""PTX to C++: what NVRTC makes of the CUDA kernels, as a program for the host.

Registers become variables, labels and branches stay what they are, and an instruction becomes the
statement that ptx_instructions.py has for it.
"""

import re
from typing import Any

from ptx_instructions import EFFECTS, SPECIAL, VALUES


class UnknownInstructionError(Exception):
    """PTX that no row of the tables tells how to run."""


LITERAL = re.compile(r"0[dD](?P<f64>[0-9a-fA-F]{16})|(?P<integer>-?(?:0[xX][0-9a-fA-F]+|\d+))U?")
VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|weak|common) )*\.(?P<space>global|const|shared|local|param)"
    r"(?: \.align (?P<align>\d+))? \.(?P<type>[busf]\d+)(?: \.ptr(?: \.\w+)?(?: \.align \d+)?)?"
    r" (?P<name>[\w$]+)(?:\[(?P<count>\d*)\])?(?: = (?P<values>[^;]+))?"
)
FUNCTION = re.compile(
    r"(?:\.(?:visible|weak) )*\.(?P<kind>entry|func) (?:\((?P<results>[^()]*)\) ?)?"
    r"(?P<name>[\w$]+) ?(?:\((?P<parameters>[^()]*)\))?(?P<limits>[^{};()]*)\{"
)
STATEMENT = re.compile(r" ?(?:(?P<label>[\w$]+) ?:(?!:)|(?P<brace>[{}])|(?P<text>[^;{}]+);)")
OPERAND = re.compile(r"<[^>]*>|\[[^]]*\]|\([^)]*\)|[^, ]+")
TABLE_OF_LABELS = re.compile(r"([\w$]+) ?: ?\.branchtargets ([^;]+);")


def tidy(ptx: str) -> str:
    """Return the text without comments, in one line, with <a, b> for a vector {a, b}."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", ptx, flags=re.DOTALL)
    text = re.sub(r"^\s*\.(?:version|target|address_size)\b.*$", " ", text, flags=re.MULTILINE)
    return re.sub(r"\s+", " ", re.sub(r"\{([^{};]*)\}", r"<\1>", text)).strip()


def literal(text: str, bits: int = 64) -> str | None:
    """Return a number's bits, as C++ spells them; None for what is not a number."""
    found = LITERAL.fullmatch(text)
    if found is None:
        return None
    value = int(found["f64"], 16) if found["f64"] else int(found["integer"], 0)
    return f"{value & (1 << bits) - 1:#x}ull"


def declare(found: re.Match[str], before: str = "") -> str:
    """Return a variable in C++; a float is kept as its bits."""
    bits = int(found["type"][1:])
    values = [literal(text, bits) for text in re.findall(r"[^<>, ]+", found["values"] or "")]
    if None in values:
        raise UnknownInstructionError(f"a variable that has no numbers: {found[0]}")
    start = f" = {{{', '.join(map(str, values))}}}" if values else ""
    size = found["count"] or "1"
    align = found["align"] or bits // 8
    return f"alignas({align}) {before}u{bits} {found['name']}[{size}]{start};"


def translate(ptx: str) -> str:
    """Return the C++ of a module's variables, functions and kernels, for ptx_on_host.cpp."""
    text = tidy(ptx)
    symbols, end = place_shared(text)
    lines, kernels, position = [f"constexpr unsigned SHARED_BY_NAME = {end};"], [], 0
    while position < len(text):
        if found := FUNCTION.match(text, position):
            close = find_end(text, found.end())
            function = Function(found, text[found.end() : close], symbols)
            lines += [f"{function.head} {{", *function.lines, "}"]
            if found["kind"] == "entry":
                most = re.search(r"\.(?:maxntid|reqntid) (\d+)", found["limits"])
                kernels.append(
                    f'{{"{found["name"]}", {found["name"]}, {most[1] if most else 1024}}}'
                )
            position = close + 1
        else:
            statement = STATEMENT.match(text, position)
            declared = statement and VARIABLE.fullmatch((statement["text"] or "").strip())
            if not declared:
                raise UnknownInstructionError(f"in a module: {text[position : position + 80]}")
            if declared["space"] in ("global", "const"):
                symbols[declared["name"]] = f"address({declared['name']})"
                lines.append(declare(declared, "static "))
            position = statement.end()
        position += text[position : position + 1] == " "
    return "\n".join([*lines, f"static const Kernel kernels[] = {{{', '.join(kernels)}}};", ""])


def place_shared(text: str) -> tuple[dict[str, str], int]:
    """Return where in shared memory each variable lies, and where those that have a size end."""
    places, end = {}, 0
    found = [match for match in VARIABLE.finditer(text) if match["space"] == "shared"]
    for match in sorted(found, key=lambda match: match["count"] == ""):
        align = 128 if match["count"] == "" else int(match["align"] or 8)
        end = -(-end // align) * align
        places[match["name"]] = f"{end}ull"
        if match["count"] != "":
            end += int(match["count"] or 1) * int(match["type"][1:]) // 8
    return places, end


def find_end(text: str, start: int) -> int:
    """Return where the brace is that closes the one before `start`."""
    depth = 1
    for found in re.finditer(r"[{}]", text[start:]):
        depth += 1 if found[0] == "{" else -1
        if depth == 0:
            return start + found.start()
    raise UnknownInstructionError("a function without an end")


class Function:
    """A kernel or a function, as lines of C++."""

    def __init__(self, found: re.Match[str], body: str, symbols: dict[str, str]) -> None:
        self.symbols = dict(symbols)
        self.lines: list[str] = []
        self.types: dict[str, str] = {}  # of registers
        self.run_start = self.run_length = 0  # instructions since the last label or branch
        given = f"{found['results'] or ''}, {found['parameters'] or ''}".split(",")
        names = [part.split()[-1].partition("[")[0] for part in given if part.strip()]
        self.symbols.update((name, f"address({name})") for name in names)
        if found["kind"] == "entry":
            self.head = f"static void {found['name']}(const void* const* addresses)"
            self.lines += [f"const void* {name} = addresses[{i}];" for i, name in enumerate(names)]
        else:
            self.head = f"static void {found['name']}({', '.join(f'void* {n}' for n in names)})"
        self.lines.append("[[maybe_unused]] fibers::Received received;")
        self.tables = dict(TABLE_OF_LABELS.findall(body))
        self.translate_body(TABLE_OF_LABELS.sub("", body).strip())

    def translate_body(self, body: str) -> None:
        position = 0
        while position < len(body):
            found = STATEMENT.match(body, position)
            if found is None:
                raise UnknownInstructionError(f"in a function: {body[position : position + 80]}")
            position = found.end()
            if found["label"]:
                self.end_run()
                self.lines.append(f"{found['label']}:;")
                self.run_start = len(self.lines)
            elif found["brace"]:
                self.lines.append(found["brace"])
            elif found["text"].strip().startswith("."):
                self.declare(found["text"].strip())
            else:
                self.add_instruction(found["text"].strip())
        self.end_run()

    def end_run(self) -> None:
        """Have all instructions counted that follow each other, where the first of them is."""
        if self.run_length:
            self.lines.insert(self.run_start, f"count({self.run_length});")
        self.run_start, self.run_length = len(self.lines), 0

    def declare(self, text: str) -> None:
        if text.startswith((".pragma", ".loc")):
            return
        if found := re.fullmatch(r"\.reg \.(\w+) (.+)", text):
            for name in re.split(r", ?", found[2]):
                base, _, count = name.strip("%>").partition("<")
                names = [f"{base}{i}" for i in range(int(count))] if count else [base]
                self.lines.append(f"{found[1]} {', '.join(names)};")
                self.types.update(dict.fromkeys(names, found[1]))
            return
        found = VARIABLE.fullmatch(text)
        if not found or found["space"] not in ("local", "param", "shared") or found["values"]:
            raise UnknownInstructionError(text)
        if found["space"] != "shared":
            self.symbols[found["name"]] = f"address({found['name']})"
            self.lines.append(declare(found))

    def add_instruction(self, text: str) -> None:
        found = re.fullmatch(r"(?:@(!?)%?([\w$]+) )?([\w.:]+) ?(.*)", text)
        if found is None:
            raise UnknownInstructionError(text)
        negation, guard, opcode, rest = found.groups()
        operands = OPERAND.findall(rest)
        statement = self.find_statement(opcode, operands)
        if statement is None:
            raise UnknownInstructionError(f"no row for the instruction: {text}")
        self.run_length += 1
        self.lines.append(
            f"if ({negation}{guard}) {{ {statement}; }}" if guard else f"{statement};"
        )
        if opcode.partition(".")[0] in ("bra", "brx", "call", "ret", "exit"):
            self.end_run()

    def find_statement(self, opcode: str, operands: list[str]) -> str | None:
        if re.fullmatch(r"call(?:\.uni)?", opcode):
            results = operands.pop(0)[1:-1].split(",") if operands[0].startswith("(") else []
            given = operands[1][1:-1].split(",") if len(operands) > 1 else []
            names = [name.strip() for name in (*results, *given) if name.strip()]
            return f"{operands[0]}({', '.join(names)})"
        if re.fullmatch(r"brx\.idx(?:\.uni)?", opcode):
            labels = enumerate(self.tables[operands[1]].split(","))
            cases = " ".join(f"case {i}: goto {label.strip()};" for i, label in labels)
            return f"switch ({self.read(operands[0])}) {{ {cases} }}"
        if found := match_row(EFFECTS, opcode):
            row, groups = found
            if not takes(row, operands):
                return None
            last = operands[-1] if operands else ""
            sources = re.findall(r"[^<>, ]+", last) if last.startswith("<") else [last]
            return "; ".join(
                self.fill(row, groups, opcode, [*operands[:-1], source], len(sources), i)
                for i, source in enumerate(sources)
            )
        several = operands and operands[0].startswith("<")
        if found := match_row(
            VALUES, f"{opcode} to several" if "mov" in opcode and several else opcode
        ):
            rows, groups = found
            places = re.findall(r"[^<>|, ]+", operands[0])
            rows = [rows] * len(places) if several else [rows] if isinstance(rows, str) else rows
            if len(rows) < len(places) or not takes(rows[0], operands[1:]):
                return None
            values = [
                self.fill(row, groups, opcode, operands[1:], len(places), i)
                for i, row in enumerate(rows[: len(places)])
            ]
            if len(places) == 1:
                return self.put(opcode, places[0], values[0])
            # all are computed before the first is set, which may be an operand as well
            temporary = [f"const auto x{i} = {value}" for i, value in enumerate(values)]
            put = [self.put(opcode, place, f"x{i}") for i, place in enumerate(places)]
            return f"{{ {'; '.join([*temporary, *put])}; }}"
        return None

    def put(self, opcode: str, place: str, value: str) -> str:
        """Set a register, to the same bits where it is an integer and the value a float."""
        name = place.strip("%")
        if name == "_":
            return value
        first_type = re.search(r"\.([bsuf]\d+|pred)\b", opcode)
        is_float = first_type and first_type[1] == "f64" and not re.match("setp|testp", opcode)
        same = bool(is_float) == (self.types.get(name) == "f64")
        return f"{name} = {value}" if same else f"set({name}, {value})"

    def fill(
        self, row: str, groups: dict[str, str], opcode: str, operands: list[str], n: int, i: int
    ) -> str:
        shared = ".shared" in opcode and not opcode.startswith(("cvta", "cp."))
        kind = groups.get("t")
        plain = [self.read(text, kind, shared) for text in operands]
        typed = {name: self.cast(kind, x) for name, x in zip("abcd", plain, strict=False)}
        raw = dict(zip("ABCD", plain, strict=False))
        return row.format(
            **groups, **typed, **raw, n=n, i=i, all=", ".join(plain), rest=", ".join(plain[1:])
        )

    def cast(self, kind: str | None, x: str) -> str:
        """Return an operand as of a type, in words that are compiled quickly."""
        own = self.types.get(x, "")
        if own == kind:
            return x
        if kind and kind != "f64" and own != "f64":
            return f"{kind}({x})"
        return f"as<{kind}>({x})"

    def read(self, text: str, kind: str | None = None, shared: bool = False) -> str:
        """Return an operand in C++: an address as 64 bits, several registers as one number."""
        if text.startswith("<"):
            parts = [self.read(x) for x in re.findall(r"[^<>, ]+", text)]
            return f"pack<b{int(kind[1:]) // len(parts)}>({', '.join(parts)})"
        if text.startswith("["):
            base, _, offset = text.strip("[]").partition("+")
            place = f"as<u64>({self.read(base)}) + {offset or 0}"
            return f"in_shared({place})" if shared else place
        if text.startswith("!"):
            return f"!{self.read(text[1:])}"
        return SPECIAL.get(text) or self.symbols.get(text) or literal(text) or text.strip("%")


def takes(row: str, operands: list[str]) -> bool:
    """Tell whether a row uses so many operands, neither more nor fewer."""
    if "{all}" in row or "{rest}" in row:
        return bool(operands)
    used = set(re.findall(r"\{([a-d])\}", row.lower()))
    return used == set("abcd"[: len(operands)])


def match_row(table: dict[str, Any], opcode: str) -> tuple[Any, dict[str, str]] | None:
    """Return the row for an opcode, and the parts of it that the row's pattern names."""
    for pattern, row in table.items():
        if found := re.fullmatch(pattern, opcode):
            return row, found.groupdict()
    return None
