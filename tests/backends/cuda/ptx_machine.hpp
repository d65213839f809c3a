// The machine of PTX on a host: what its instructions do, as the PTX ISA defines them.

#ifndef PTX_MACHINE
#define PTX_MACHINE

#include <cmath>
#include <limits>
#include <type_traits>

#include "fibers.hpp"

using s8 = int8_t;
using s16 = int16_t;
using s32 = int32_t;
using s64 = int64_t;
using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using b8 = u8;
using b16 = u16;
using b32 = u32;
using b64 = u64;
using f64 = double;
using pred = bool;

// --- registers -------------------------------------------------------------------------

// Integers are cut or extended; a float and an integer have the same bits.
template <class T, class X> T as(X x) {
    if constexpr (std::is_integral_v<T> && std::is_integral_v<X>) return static_cast<T>(x);
    else {
        static_assert(sizeof(T) == sizeof(X));
        T same;
        std::memcpy(&same, &x, sizeof same);
        return same;
    }
}

template <class R, class X> void set(R& place, X x) { place = as<R>(x); }

template <class T> using Bits = std::conditional_t<
    sizeof(T) == 8, u64,
    std::conditional_t<sizeof(T) == 4, u32, std::conditional_t<sizeof(T) == 2, u16, u8>>>;
template <class T> using Wide = std::conditional_t<
    std::is_signed_v<T>, std::conditional_t<sizeof(T) == 4, s64, s32>,
    std::conditional_t<sizeof(T) == 4, u64, u32>>;
template <class T> constexpr unsigned SIZE = 8 * sizeof(T);

template <class PIECE, class T, class... Rest> u64 pack(T first, Rest... rest) {
    if constexpr (sizeof...(rest) == 0) return as<PIECE>(first);
    else return as<PIECE>(first) | pack<PIECE>(rest...) << SIZE<PIECE>;
}
template <class T> u64 piece(T whole, unsigned count, unsigned i) {
    const unsigned size = SIZE<T> / count;
    return u64(whole) >> size * i & ~u64(0) >> (64 - size);
}

// --- integers --------------------------------------------------------------------------

template <class T> Wide<T> wide(T x) { return x; }
template <class T> T high(T a, T b) {
    using Both = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return T(Both(a) * b >> SIZE<T>);
}
// What is divided by 0 is not defined.
template <class T> T quotient(T a, T b) {
    if (b == 0) return T(-1);
    return std::is_signed_v<T> && b == T(-1) ? T(-a) : T(a / b);
}
template <class T> T rest(T a, T b) {
    if (b == 0) return a;
    return std::is_signed_v<T> && b == T(-1) ? T(0) : T(a % b);
}
template <class T> T left(T x, u32 by) { return by >= SIZE<T> ? 0 : T(x << by); }
template <class T> T right(T x, u32 by) {
    if (by >= SIZE<T>) return x < 0 ? T(-1) : 0;
    return T(x >> by);
}
template <class T> T field(T x, u32 start, u32 length) {
    start &= 255, length &= 255;
    if (length == 0) return 0;
    const unsigned last = std::min(start + length - 1, SIZE<T> - 1);
    const T kept = start >= SIZE<T> ? T(x < 0 ? -1 : 0) : right(x, start);
    if (length >= SIZE<T>) return kept;
    const bool negative = std::is_signed_v<T> && right(Bits<T>(x), last) & 1;
    const Bits<T> mask = left(Bits<T>(1), length) - 1;
    return T((Bits<T>(kept) & mask) | (negative ? Bits<T>(~mask) : Bits<T>(0)));
}
template <class T> T put_field(T x, T into, u32 start, u32 length) {
    start &= 255, length &= 255;
    const T mask = left(T(length >= SIZE<T> ? T(-1) : T((T(1) << length) - 1)), start);
    return (into & T(~mask)) | (left(x, start) & mask);
}
inline u32 permute(u32 a, u32 b, u32 choice) {
    u32 found = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const u32 nibble = choice >> 4 * i & 15;
        const u8 byte = u8((u64(b) << 32 | a) >> 8 * (nibble & 7));
        found |= u32(nibble & 8 ? (byte & 128 ? 255 : 0) : byte) << 8 * i;
    }
    return found;
}
// Of b:a; wrap or clamp have made `by` at most 32.
inline u32 funnel_left(u32 a, u32 b, u32 by) { return u32((u64(b) << 32 | a) << by >> 32); }
inline u32 funnel_right(u32 a, u32 b, u32 by) { return u32((u64(b) << 32 | a) >> by); }
inline u32 by_table(u32 a, u32 b, u32 c, u32 table) {
    u32 found = 0;
    for (unsigned i = 0; i < 8; ++i) {
        if (table >> i & 1) found |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    }
    return found;
}
template <class T> u32 leading_zeros(T x) {
    u32 count = 0;
    while (count < SIZE<T> && !(x >> (SIZE<T> - 1 - count) & 1)) ++count;
    return count;
}
template <class T> T reversed(T x) {
    T found = 0;
    for (unsigned i = 0; i < SIZE<T>; ++i) found = T(found << 1) | (x >> i & 1);
    return found;
}

// --- comparisons: those of a float that end in u hold for NaN, too -----------------------

template <class T> bool compare_lt(T a, T b) { return a < b; }
template <class T> bool compare_le(T a, T b) { return a <= b; }
template <class T> bool compare_gt(T a, T b) { return a > b; }
template <class T> bool compare_ge(T a, T b) { return a >= b; }
template <class T> bool compare_eq(T a, T b) { return a == b; }
template <class T> bool compare_ne(T a, T b) { return a < b || a > b; }
template <class T> bool compare_ltu(T a, T b) { return !(a >= b); }
template <class T> bool compare_leu(T a, T b) { return !(a > b); }
template <class T> bool compare_gtu(T a, T b) { return !(a <= b); }
template <class T> bool compare_geu(T a, T b) { return !(a < b); }
template <class T> bool compare_equ(T a, T b) { return !(a < b || a > b); }
template <class T> bool compare_neu(T a, T b) { return !(a == b); }
template <class T> bool compare_num(T a, T b) { return a == a && b == b; }
template <class T> bool compare_nan(T a, T b) { return a != a || b != b; }
inline bool join_and(bool a, bool b) { return a && b; }
inline bool join_or(bool a, bool b) { return a || b; }
inline bool join_xor(bool a, bool b) { return a != b; }

// --- floats ----------------------------------------------------------------------------

// NaN loses against a number, and -0 is below 0.
template <class T> T larger(T a, T b) {
    if constexpr (std::is_integral_v<T>) return a > b ? a : b;
    else return a != a ? b : b != b ? a : a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
}
template <class T> T smaller(T a, T b) {
    if constexpr (std::is_integral_v<T>) return a < b ? a : b;
    else return a != a ? b : b != b ? a : a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
}
template <class T> T absolute(T x) {
    if constexpr (std::is_integral_v<T>) return x < 0 ? T(-x) : x;
    else return std::fabs(x);
}
inline f64 rounded_rni(f64 x) { return std::nearbyint(x); }
inline f64 rounded_rzi(f64 x) { return std::trunc(x); }
inline f64 rounded_rmi(f64 x) { return std::floor(x); }
inline f64 rounded_rpi(f64 x) { return std::ceil(x); }
// The nearest integer that there is; of NaN the one that the ISA names.
template <class T> T integer(f64 x) {
    if (x != x) return T(u64(1) << (SIZE<T> - 1));
    const f64 end = std::ldexp(1.0, SIZE<T> - std::is_signed_v<T>);
    if (x >= end) return std::numeric_limits<T>::max();
    return x < f64(std::numeric_limits<T>::min()) ? std::numeric_limits<T>::min() : T(x);
}

// --- memory ----------------------------------------------------------------------------

// An address in shared memory counts from here, so that it is no address of anything else.
template <class T> u64 address(const T* place) { return reinterpret_cast<u64>(place); }
inline u64 shared_start() { return address(fibers::shared_memory); }
inline u64 in_shared(u64 x) {
    if (x >= MOST_SHARED) fibers::fail("an address beyond shared memory");
    return x + shared_start();
}

template <class T> T* at(u64 x) { return reinterpret_cast<T*>(x); }
// Of several numbers that are read or written at once, this one.
template <class T, unsigned COUNT> T* at(u64 x, unsigned i) {
    if (COUNT > 1 && x % (COUNT * sizeof(T))) fibers::fail("a vector at an odd address");
    return at<T>(x) + i;
}
template <class T, unsigned COUNT> T load(u64 x, unsigned i) { return *at<T, COUNT>(x, i); }
template <class T, unsigned COUNT> void store(u64 x, unsigned i, T value) {
    *at<T, COUNT>(x, i) = value;
}

template <class T> T atomic_add(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return T(old + y); });
}
template <class T> T atomic_min(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return std::min(old, y); });
}
template <class T> T atomic_max(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return std::max(old, y); });
}
template <class T> T atomic_and(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return T(old & y); });
}
template <class T> T atomic_or(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return T(old | y); });
}
template <class T> T atomic_xor(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return T(old ^ y); });
}
template <class T> T atomic_exch(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T) { return y; });
}
template <class T> T atomic_inc(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return old >= y ? T(0) : T(old + 1); });
}
template <class T> T atomic_dec(u64 x, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return old == 0 || old > y ? y : T(old - 1); });
}
template <class T> T atomic_cas(u64 x, T expected, T y) {
    return fibers::exchange(at<T>(x), [&](T old) { return old == expected ? y : old; });
}

// --- other threads, and what goes on at the same time ------------------------------------

// Copies that are under way: they arrive when they are waited for, and not before.
struct Copy {
    u64 to, from;
    u32 size, given;  // zeros follow those that are given
    u64 group;
};
inline std::vector<Copy> copies[fibers::MOST_THREADS];
inline u64 groups[fibers::MOST_THREADS];

inline void copy_later(u64 to, u64 from, u32 size, int64_t some = -1) {
    const u32 given = some < 0 ? size : u32(some);
    if ((to | from) % size) fibers::fail("cp.async between addresses that are no multiples");
    copies[fibers::self->index].push_back({to, from, size, given, groups[fibers::self->index]});
}
inline void close_group() { ++groups[fibers::self->index]; }
// All but the latest groups, which may be under way still.
inline void wait_for_groups(u64 latest) {
    std::vector<Copy> still;
    for (const Copy& copy : copies[fibers::self->index]) {
        if (copy.group + latest >= groups[fibers::self->index]) still.push_back(copy);
        else {
            char* to = at<char>(copy.to);
            std::memset(to, 0, copy.size);
            std::memcpy(to, at<char>(copy.from), copy.given);
        }
    }
    copies[fibers::self->index] = still;
}

template <class... X> unsigned vote_of_block(unsigned number, X... others) {
    if constexpr (sizeof...(X) == 1) return fibers::wait(number, 0, others...);
    else return fibers::wait(number, others...);
}

inline void count(int instructions) { fibers::self->executed += instructions; }

#endif
