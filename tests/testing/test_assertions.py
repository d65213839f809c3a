"""Assertions: what counts as the same, and each message, word for word."""

import re

import numpy as np
import pytest

from neuron_xp.backends.libraries import open_backend
from neuron_xp.testing import assert_same_bits, assert_within_ulp
from neuron_xp.testing.assertions import expect_backend

ARRAY = np.asarray([[0.1, 0.2], [0.3, np.nan]])
BELOW = np.nextafter(0.2, 0.0)


def differ(*places):
    """Return the array with other numbers at some places."""
    array = ARRAY.copy()
    for index, number in places:
        array[index] = number
    return array


def fail_with(message):
    return pytest.raises(AssertionError, match=f"^{re.escape(message)}$")


def test_the_message_shows_the_first_difference_and_the_largest():
    message = """\
actual (float64, numpy on cpu) differs from expected in 2 of 4 numbers
first at [0, 1], 1 ulp apart:
  actual    0.19999999999999998  0x1.9999999999999p-3
  expected  0.2  0x1.999999999999ap-3
largest at [1, 0], 3602879701896397 ulp apart:
  actual    0.5  0x1.0000000000000p-1
  expected  0.3  0x1.3333333333333p-2"""
    with fail_with(message):
        assert_same_bits(differ(((0, 1), BELOW), ((1, 0), 0.5)), ARRAY)


def test_within_ulp_shows_only_what_is_farther():
    far = differ(((0, 1), BELOW), ((1, 0), 0.3 + 2**-52))
    message = """\
actual (float64, numpy on cpu) is more than 3 ulp from expected in 1 of 4 numbers
first at [1, 0], 4 ulp apart:
  actual    0.3000000000000002  0x1.3333333333337p-2
  expected  0.3  0x1.3333333333333p-2"""
    with fail_with(message):
        assert_within_ulp(far, ARRAY, 3)
    assert_within_ulp(far, ARRAY, 4)


def test_arrays_of_every_library_are_compared(backend):
    array = np.arange(6, dtype="float64").reshape(2, 3)
    with backend.context():
        given = backend.from_host(array)
        assert_same_bits(given, array)
        assert_same_bits(array, given, anywhere=True)
        assert_within_ulp(given, array.tolist(), 0)
        other = array.copy()
        other[1, 2] = 5.5
        with pytest.raises(AssertionError, match=re.escape(f"(float64, {backend}) differs")):
            assert_same_bits(given, other)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "complex64", "complex128"],
)
def test_every_dtype_is_compared(dtype):
    array = np.asarray([[1], [0]], dtype=dtype)
    assert_same_bits(array, array.copy())
    assert_same_bits(array.astype(array.dtype.newbyteorder()), array)
    assert_same_bits(array[0, 0], array[0, 0])
    with pytest.raises(AssertionError, match=r"differs from expected in 2 of 2 numbers\nfirst at"):
        assert_same_bits(array, array[::-1])


@pytest.mark.parametrize(
    ("actual", "expected", "lines"),
    [
        (np.uint8(255), np.uint8(254), "1 apart:\n  actual    255  0xff\n  expected  254  0xfe"),
        (np.int8(-128), np.int8(127), "255 apart:\n  actual    -128  -0x80\n  expected  127  0x7f"),
        (np.float32(0.1), np.float32(0.2), "8388608 ulp apart:\n  actual    0.1  0x1.99999a"),
        (np.float16(1), np.float16(np.inf), "16384 ulp apart:\n  actual    1.0  0x1.0"),
        (np.bool(True), np.bool(False), "1 apart:\n  actual    True\n  expected  False"),
        (1 + 2j, 1 + 3j, "ulp apart:\n  actual    1.0  0x1.0000000000000p+0, imaginary 2.0"),
        (np.nan, 1.0, "NaN and a number:\n  actual    nan  0x7ff8000000000000\n  expected  1.0"),
        (0.0, -0.0, "0 ulp apart, but other bits:\n  actual    0.0  0x0.0p+0\n  expected  -0.0"),
    ],
)  # fmt: skip
def test_numbers_are_shown_in_decimal_and_exactly(actual, expected, lines):
    with pytest.raises(AssertionError, match=re.escape(lines)):
        assert_same_bits(np.asarray([actual]), np.asarray([expected]))


def test_nan_equals_nan_and_the_zeros_differ_unless_said_otherwise():
    other_nan = np.asarray([0x7FF8000000000001], dtype="int64").view("float64")
    assert_same_bits(other_nan, [np.nan])
    with pytest.raises(AssertionError, match=r"nan  0x7ff8000000000001\n.* nan  0x7ff80{12}$"):
        assert_same_bits(other_nan, [np.nan], nan_bits=True)
    assert_within_ulp(np.asarray([0.0, -0.0, np.nan]), [-0.0, 0.0, np.nan], 0)
    with pytest.raises(AssertionError, match="NaN and a number"):
        assert_within_ulp(np.asarray([np.nan]), [1.0], 2**64)
    message = "is more than 0 ulp from expected in 1 of 1 numbers"
    with pytest.raises(AssertionError, match=message):
        assert_within_ulp(np.asarray([1 + 0j]), [np.nextafter(1, 2) + 0j], 0)


def test_numbers_and_lists_take_the_dtype_of_actual_if_it_can_hold_them():
    assert_same_bits(np.float32(0.1), 0.1)
    assert_same_bits(np.asarray([[1, 2]], dtype="int8"), [[1, 2]])
    assert_same_bits(np.asarray([1.0, 2.0]), [1, 2])
    assert_same_bits(np.asarray([]), [])
    for given, kind in (([0.5], "float64"), ([True], "bool"), ([1j], "complex128")):
        with fail_with(f"actual (numpy on cpu) has dtype int64, expected {kind}"):
            assert_same_bits(np.asarray([1], dtype="int64"), given)


def test_shape_and_dtype_come_before_bits():
    with fail_with("actual (float64, numpy on cpu) has shape (3,), expected (3, 1)"):
        assert_same_bits(np.ones(3), np.ones((3, 1)))
    with fail_with("actual (float64, numpy on cpu) has shape (), expected (1,)"):
        assert_same_bits(np.float64(1), [1.0])
    with fail_with("actual (numpy on cpu) has dtype float32, expected float64"):
        assert_same_bits(np.ones(3, dtype="float32"), np.ones(3))


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (lambda: assert_same_bits(1.0, 1.0), "actual must be an array; got float"),
        (
            lambda: assert_same_bits(np.asarray(["a"]), ["a"]),
            "arrays of <U1 cannot be compared; give bools, integers or floats",
        ),
        (
            lambda: assert_same_bits(np.ones(1), "one"),
            "expected must be an array, a number or a list of such; got 'one'",
        ),
        (
            lambda: assert_within_ulp(np.asarray([1]), [1], 1),
            r"int\d+ has no ulp: give floats, or use assert_same_bits",
        ),
    ],
)
def test_what_has_no_bits_to_compare(compare, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        compare()


def test_an_impossible_ulp():
    with pytest.raises(ValueError, match=r"^ulp must be a whole number, 0 or more; got 0\.5$"):
        assert_within_ulp(np.ones(1), np.ones(1), 0.5)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_bfloat16_which_numpy_lacks(name):
    pytest.importorskip(name)
    xp = open_backend(name).xp
    array = xp.asarray([1.0], dtype=xp.bfloat16)
    message = "bfloat16 cannot be compared; convert both to float32, which is exact$"
    with pytest.raises(TypeError, match=message):
        assert_same_bits(array, array)


def test_jax_without_64_bits():
    pytest.importorskip("jax")
    backend = open_backend("jax")
    message = (
        f"actual ({backend}) has dtype float32, expected float64; "
        "JAX has no 64 bits until it is started with JAX_ENABLE_X64=1"
    )
    with fail_with(message):
        assert_same_bits(backend.xp.ones(1), np.ones(1))


def test_conjugates_of_pytorch():
    torch = pytest.importorskip("torch")
    assert_same_bits(torch.asarray([1 + 2j]).conj(), np.asarray([1 - 2j], dtype="complex64"))


def test_dask_arrays_are_computed():
    da = pytest.importorskip("dask.array")
    assert_same_bits(da.from_array(ARRAY, chunks=1), ARRAY)
    with pytest.raises(AssertionError, match=r"^actual \(float64, dask\) has shape"):
        assert_same_bits(da.from_array(ARRAY, chunks=1), ARRAY[0])


def test_in_a_test_of_a_backend_the_array_must_be_its_own():
    strict, device1 = (open_backend("array_api_strict", name) for name in (None, "device1"))
    with expect_backend(strict):
        assert_same_bits(strict.from_host(np.ones(1)), [1.0])
        message = (
            "actual is of numpy on cpu, but this test runs on array_api_strict on CPU_DEVICE: "
            "something fell back to NumPy"
        )
        with fail_with(message):
            assert_same_bits(np.ones(1), [1.0])
        message = (
            "actual is of array_api_strict on device1, "
            "but this test runs on array_api_strict on CPU_DEVICE; "
            "it has no default device, so give device=backend.device"
        )
        with fail_with(message):
            assert_within_ulp(device1.from_host(np.ones(1)), [1.0], 0)
        assert_same_bits(np.ones(1), [1.0], anywhere=True)
    assert_same_bits(np.ones(1), [1.0])
