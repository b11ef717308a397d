"""Arrays from files that anybody may have written."""

import errno
import io
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as numpy_format

from kaggle_digits import files
from kaggle_digits.errors import InputError, OutsideError
from kaggle_digits.formats.arrays import Form, read_array, read_arrays

ADVICE = "Get another one."
NAMES = {
    "ids": Form("integer", ("images",)),
    "probabilities": Form("floating", ("images", "classes")),
    "labels": Form("uint8", ("images",), required=False),
}
ARRAYS: dict[str, Any] = {
    "ids": np.arange(1, 4),
    "probabilities": np.full((3, 10), 0.1, np.float32),
}
MB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.npz"


def refusal(path: Path, **options) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            read_arrays(path, **{"names": NAMES, "advice": ADVICE, **options})
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(ADVICE)
    assert message.isprintable()
    assert len(message) < 600
    return message


def npy(header: bytes, values: bytes = b"", version: int = 1) -> bytes:
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + values


def header_of(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()[10:].split(b"\n")[0] + b"\n"


def write_members(
    path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_arrays_are_read_by_name(path):
    labels = np.array([7, 8, 9], np.uint8)
    files.write_npz(path, labels=labels, other=np.zeros(3), **ARRAYS)
    read = read_arrays(path, names=NAMES, advice=ADVICE)
    assert list(read) == list(NAMES)
    for name, array in {**ARRAYS, "labels": labels}.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
    np.savez_compressed(path, **ARRAYS)
    assert list(read_arrays(path, names=NAMES, advice=ADVICE)) == ["ids", "probabilities"]


@pytest.mark.parametrize(
    "error", [MemoryError("Unable to allocate 2 GiB"), OSError(errno.ENOMEM, "Cannot allocate")]
)
def test_too_little_memory_is_no_damage(error, path, monkeypatch):
    def fail(*_, **__):
        raise error

    files.write_npz(path, **ARRAYS)
    monkeypatch.setattr(numpy_format, "read_array", fail)
    with pytest.raises(OutsideError, match="out of memory"):
        read_arrays(path, names=NAMES, advice=ADVICE)


def test_a_deeply_nested_header_is_damage(path):
    """Python's parser raises a MemoryError for it."""
    write_members(path, {"ids": npy(b"-" * 9000 + b"1\n"), "probabilities": b""})
    assert "a header that is nested too deeply" in refusal(path)


def test_the_order_in_memory_is_kept(path):
    np.savez(path, a=np.asfortranarray(np.arange(6).reshape(2, 3)))
    read = read_arrays(path, names={"a": Form("integer", (2, 3))}, advice=ADVICE)
    np.testing.assert_array_equal(read["a"], np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"ids": None},
            "lacks ids: it holds probabilities. Expected the arrays ids, probabilities",
        ),
        ({"ids": np.zeros(3)}, "(ids): received an array of shape (3,) and dtype float64"),
        ({"ids": np.zeros((3, 1), int)}, "expected shape (images,) and dtype integer"),
        ({"ids": np.zeros(0, int)}, "received an array of shape (0,)"),
        ({"ids": np.zeros((), int)}, "received an array of shape ()"),
        ({"ids": np.arange(4)}, "(probabilities): received an array of shape (3, 10)"),
        ({"ids": np.arange(4)}, "expected shape (4, classes) and dtype floating"),
        ({"labels": np.zeros(3, np.int64)}, "dtype int64, expected shape (3,) and dtype uint8"),
        ({"ids": np.array(["1", "2", "3"])}, "dtype <U1"),
        ({"ids": np.array([1, "2", None], object)}, "dtype object"),
        ({"ids": np.zeros(3, [("a", "i4"), ("b", "O")])}, "received an array of"),
        ({"ids": np.zeros(3, "M8[s]")}, "dtype datetime64[s]"),
    ],
    ids=str,
)
def test_arrays_of_another_form_are_refused(changes, problem, path):
    arrays = {**ARRAYS, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    assert problem in refusal(path)


def test_objects_are_never_unpickled(path, tmp_path):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "evil",)

    for array in (np.array([Hostile()] * 3), np.array([(1, Hostile())] * 3, "i8,O")):
        np.savez(path, ids=array, probabilities=ARRAYS["probabilities"])
        refusal(path)
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(InputError):
            read_array(tmp_path / "a.npy", NAMES["ids"], advice=ADVICE)
    assert not (tmp_path / "evil").exists()


GOOD = header_of(ARRAYS["ids"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy(b""),
        npy(b"{"),  # tokenize.TokenError, behind NumPy's own second attempt
        npy(b"{'descr': '<i8', 'fortran_order': False, 'shape': (3,"),
        npy(b"{'descr': '''"),
        npy(b"(" * 9000),
        npy(b"-" * 9000 + b"1"),
        npy(b"9" * 9000),
        npy(b"\0" * 100),
        npy(b"\\"),
        npy(b"  {\n {"),  # IndentationError
        npy(b"1if"),  # Python warns of it
        npy(GOOD.replace(b"<i8", b"\\d8")),
        npy(GOOD.replace(b"(3,)", b"(3L,)")),  # NumPy warns, and would read it
        npy(GOOD.replace(b"(3,)", b"(-3,)")),
        npy(GOOD.replace(b"(3,)", b"(0x" + b"f" * 8000 + b",)")),
        npy(GOOD.replace(b"(3,)", b"(3.0,)")),
        npy(GOOD.replace(b"<i8", b"a8")),  # an alias that NumPy warns of
        npy(GOOD.replace(b"<i8", b"(1)i8")),
        npy(GOOD.replace(b"<i8", b"i8," * 2000)),
        npy(GOOD.replace(b"'<i8'", b"[" * 90 + b"]" * 90)),
        npy(GOOD.replace(b"'<i8'", b"('<i8', (9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9))")),
        npy(GOOD, b"\0" * 23),
        npy(GOOD, b"\0" * 25),
        npy(GOOD, b"\0" * 24, version=2)[:20],
        npy(GOOD, b"\0" * 24, version=3),
        npy(GOOD, b"\0" * 24, version=9),
        npy(b" " * 20_000 + GOOD, b"\0" * 24),
        npy(GOOD.replace(b"(3,)", b"(10000000000000,)")),
        npy(GOOD.replace(b"(3,)", b"(4611686018427387904, 4)")),  # overflows 64 bits
    ],
    ids=lambda content: repr(content[10:50]),
)
def test_headers_that_are_not_numpys(content, path, tmp_path):
    probabilities = npy(header_of(ARRAYS["probabilities"]), ARRAYS["probabilities"].tobytes())
    refusal(write_members(path, {"ids": content, "probabilities": probabilities}))
    (tmp_path / "a.npy").write_bytes(content)
    for mapped in (False, True):
        with pytest.raises(InputError, match=r"a\.npy"):
            read_array(tmp_path / "a.npy", NAMES["ids"], advice=ADVICE, mapped=mapped)


def test_the_second_version_of_the_format_is_read(path):
    values = np.arange(3).tobytes()
    for version in (1, 2):
        write_members(path, {"ids": npy(GOOD, values, version)})
        read = read_arrays(path, names={"ids": NAMES["ids"]}, advice=ADVICE)
        np.testing.assert_array_equal(read["ids"], np.arange(3))


def test_an_array_that_is_there_twice(path):
    files.write_npz(path, **ARRAYS)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("ids.npy", npy(GOOD, np.arange(3).tobytes()))
    assert "has ids more than once" in refusal(path)


def test_names_from_outside_do_not_reach_the_terminal(path):
    write_members(path, {"\x1b[2J\n\u202e": b"", "x" * 60_000: b""})
    assert "lacks ids, probabilities: it holds \\x1b[2J\\n\\u202e, xxx" in refusal(path)


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_file_that_was_cut_short(keep, path):
    files.write_npz(path, **ARRAYS)
    path.write_bytes(path.read_bytes()[:keep])
    assert "is not an .npz file, or is truncated" in refusal(path)


def test_a_flipped_bit(path):
    for write in (np.savez, np.savez_compressed):
        write(path, **ARRAYS)
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\1\2") - 20] ^= 4
        path.write_bytes(content)
        refusal(path)


def test_a_file_that_is_missing_or_a_folder(path):
    assert refusal(path).startswith(f"cannot read {path}: No such file or directory. ")
    path.mkdir()
    assert "Is a directory" in refusal(path)


def peak_of(path: Path, **options) -> int:
    """Return how many bytes at most were held while ``path`` was refused."""
    refusal(path, **options)  # what is imported on the way stays
    tracemalloc.start()
    try:
        refusal(path, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_far_more_takes_no_memory(path):
    big = np.zeros((100 * MB // 80, 10))
    np.savez_compressed(path, ids=np.arange(len(big)), probabilities=big)
    assert path.stat().st_size < 5 * MB
    message = refusal(path, max_bytes=50 * MB)
    assert "(probabilities): needs 104,857,600 bytes of memory, expected at most" in message
    assert peak_of(path) < MB  # the file's own size
    assert peak_of(path, max_bytes=50 * MB) < 25 * MB  # the ids alone


def test_a_header_that_unpacks_to_far_more_takes_no_memory(path):
    header = npy(b" " * (100 * MB), version=2)
    write_members(path, {"ids": header, "probabilities": header}, zipfile.ZIP_DEFLATED)
    assert peak_of(path, max_bytes=1000 * MB) < MB


def test_a_long_list_of_members_takes_no_memory(path):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}.npy", b"")
    tracemalloc.start()
    assert "is not an .npz file" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < MB
    tracemalloc.stop()


@pytest.mark.parametrize("end", [b"a comment", b"PK\5\6", b"PK\5\6" + bytes(18)])
def test_what_follows_the_archive_is_no_part_of_it(end, path):
    files.write_npz(path, **ARRAYS)
    path.write_bytes(path.read_bytes() + end)
    refusal(path)


def test_arrays_that_nobody_asked_for_take_no_memory(path):
    np.savez_compressed(path, other=np.zeros(100 * MB, np.uint8), **ARRAYS)
    tracemalloc.start()
    assert len(read_arrays(path, names=NAMES, advice=ADVICE)) == 2
    assert tracemalloc.get_traced_memory()[1] < MB
    tracemalloc.stop()


def test_one_array_read_and_mapped(tmp_path):
    path, form = tmp_path / "a.npy", Form("uint8", ("images", 28))
    array = np.arange(56, dtype=np.uint8).reshape(2, 28)
    np.save(path, array)
    np.testing.assert_array_equal(read_array(path, form, advice=ADVICE), array)
    mapped = read_array(path, form, advice=ADVICE, mapped=True)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(mapped, array)
    np.save(path, array.astype(np.float32))
    with pytest.raises(InputError, match=r"dtype float32, expected shape .images, 28. and dtype u"):
        read_array(path, form, advice=ADVICE, mapped=True)
