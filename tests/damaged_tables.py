"""Real tables of every format, and mutations of them: of bytes, of headers, of what is archived."""

import bz2
import gzip
import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from mutations import mutate_bytes

COLUMNS = {"length": [0.5, 1.5, -2.0, 3.25] * 5, "colour": ["red", "blue"] * 10,
           "kind": ["a", "b", "c", "a"] * 5}  # fmt: skip
NUMBERS = np.random.RandomState(0).random_sample((20, 3))
NUMBERS[:, 2] = NUMBERS[:, 2] > 0.5
HEADERS = (
    b"<f8", b"<f4", b">f8", b"<f2", b"<i8", b"|b1", b"<U5", b"<U0", b"|S3", b"|O", b"<c8", b"<M8",
    b"|V0", b"<g16", b"True", b"(20, 3)", b"(3, 20)", b"(0, 3)", b"(0, 99999999999)",
    b"(99999999999, 0)", b"(999999999999, 3)", b"(-1, 3)", b"(20,)", b"()", b"(20, 3",
    b"[('a', '<f8')]", b"__import__('os')", b"'" * 3, b"(" * 90, b"-" * 90, b"1e9999", b"9" * 60,
    b"\\N{x}", b"{}", b"\x00",
)  # fmt: skip
WORDS = (
    b"", b"nan", b"inf", b"1e999", b"9" * 400, b"9007199254740993", b'"', b'""', b"\0", b"\xff",
    b"\r", b"\n\n", b",", b"\t", b"\x1b[2J", b"x" * 200_000, "\u0661\u0662".encode(),
    "\u2028".encode(), b"-", b"1_0", b"=1+1", "\ud800".encode("utf-8", "surrogatepass"),
    b"\xef\xbb\xbf", b"NA",
)  # fmt: skip


def _compress_by_zstandard(content):
    import pyarrow

    return pyarrow.compress(content, "zstd", asbytes=True)


COMPRESS = {
    ".csv.gz": gzip.compress, ".csv.bz2": bz2.compress, ".csv.zst": _compress_by_zstandard,
}  # fmt: skip


@cache
def real_files():
    """The bytes of tables, by their ending; of Parquet where pyarrow is installed."""
    text = "\n".join(",".join(map(str, row)) for row in zip(*COLUMNS.values(), strict=True))
    csv = f"{','.join(COLUMNS)}\n{text}\n".encode()
    found = {".csv": csv, ".tsv": csv.replace(b",", b"\t")}
    arrays = {"inputs": NUMBERS, "targets": np.asarray(COLUMNS["kind"])}
    for ending, save in ((".npy", lambda file: np.save(file, NUMBERS)),
                         (".npz", lambda file: np.savez_compressed(file, **arrays))):  # fmt: skip
        file = io.BytesIO()
        save(file)
        found[ending] = file.getvalue()
    found |= {".csv.gz": gzip.compress(csv), ".csv.bz2": bz2.compress(csv)}
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return found
    found[".csv.zst"] = pyarrow.compress(csv, "zstd", asbytes=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table")
        parquet.write_table(pyarrow.table(COLUMNS), path, row_group_size=7)
        found[".parquet"] = path.read_bytes()
    return found


def mutate(ending, chance):
    """The mutated bytes of a table with this ending."""
    content = real_files()[ending]
    kind = chance.random()
    if ending == ".npy" and kind < 0.6:
        return _mutate_array(content, chance)
    if ending == ".npz" and kind < 0.7:
        return _mutate_archive(content, chance)
    if ending in (".csv", ".tsv") and kind < 0.6:
        return _mutate_cells(content, chance)
    if ending in COMPRESS and kind < 0.6:
        return COMPRESS[ending](_mutate_cells(real_files()[".csv"], chance))
    other = real_files()[chance.choice(sorted(real_files()))]
    return mutate_bytes(content, chance, other)


def _mutate_array(content, chance):
    """Put something else into the header, of its length or with the length put right."""
    size = int.from_bytes(content[8:10], "little")
    header, values = content[10 : 10 + size], content[10 + size :]
    for _ in range(chance.choice((1, 1, 2))):
        old, new = chance.choice((b"<f8", b"False", b"(20, 3)", b"20", b"shape", b"}")), b""
        new = chance.choice(HEADERS)
        header = header.replace(old, new)
    if chance.random() < 0.2:
        header = mutate_bytes(header, chance)
    if chance.random() < 0.2:
        values = mutate_bytes(values, chance)
    version = chance.choice((b"\x01", b"\x01", b"\x01", b"\x02", b"\x03", b"\xff"))
    length = len(header).to_bytes(2 if version == b"\x01" else 4, "little")
    return content[:6] + version + content[7:8] + length + header + values


def _mutate_archive(content, chance):
    """Archive mutated arrays, other names, or another way to compress; checksums are right."""
    made = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    method = chance.choice((*methods[:2] * 4, *methods))
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w", method) as new:
        for name in archive.namelist():
            data, kind = archive.read(name), chance.random()
            if kind < 0.5:
                data = _mutate_array(data, chance) if kind < 0.35 else mutate_bytes(data, chance)
            others = name.removesuffix(".npy"), f"\x1b[31m{name}"
            new.writestr(chance.choice((name,) * 9 + others), data)
    done = made.getvalue()
    return mutate_bytes(done, chance) if chance.random() < 0.3 else done


def _mutate_cells(content, chance):
    """Put other words into a text, at commas, line ends or anywhere."""
    data = content
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.choice((data.find(b"\n"), data.rfind(b"a"), chance.randrange(len(data) + 1)))
        at = max(0, at)
        data = data[:at] + chance.choice(WORDS) + data[at + chance.choice((0, 0, 1, 3, 9)) :]
    return data
