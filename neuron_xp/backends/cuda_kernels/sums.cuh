// The sums of `neuron/`: ordered by one thread or one warp, and exact over examples.

#ifndef NEURON_XP_SUMS
#define NEURON_XP_SUMS

#include "arithmetic.cuh"

namespace neuron {

// --- ordered sums ----------------------------------------------------------------------

template <int COUNT>
__host__ __device__ inline double halved(double* lanes) {
    if constexpr (COUNT == 1) return lanes[0];
    else {
#pragma unroll
        for (int lane = 0; lane < COUNT / 2; ++lane) lanes[lane] += lanes[lane + COUNT / 2];
        return halved<COUNT / 2>(lanes);
    }
}

// The sum of term(0) ... term(count - 1) by one thread, for 1 <= count <= 1024. The loops
// over lanes are unrolled, so that lanes are registers; one without a term stays 0.
template <class Term>
__host__ __device__ inline double ordered_sum(int count, const Term& term) {
    double lanes[LANES];
#pragma unroll
    for (int lane = 0; lane < LANES; ++lane) lanes[lane] = lane < count ? term(lane) : 0.0;
#pragma unroll 1
    for (int start = LANES; start < count; start += LANES) {
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) {
            if (start + lane < count) lanes[lane] += term(start + lane);
        }
    }
    return halved<LANES>(lanes);
}

// Both halves add the other's number: the same sum, and every lane ends with the total.
__device__ inline double halve(double total) {
    for (int half = LANES / 2; half > 0; half /= 2) {
        total += __shfl_xor_sync(0xffffffffu, total, half);
    }
    return total;
}

// The largest of the lanes' numbers, in every lane.
__device__ inline double warp_largest(double x) {
    for (int half = LANES / 2; half > 0; half /= 2) {
        x = larger(x, __shfl_xor_sync(0xffffffffu, x, half));
    }
    return x;
}

// The terms start ... start + count - 1, cut into pieces of 1024^LEVEL terms.
template <int LEVEL, class Term>
__device__ inline double warp_pieces(int start, int count, int lane, const Term& term) {
    double total = 0.0;
    if constexpr (LEVEL == 0) {
        for (int i = lane; i < count; i += LANES) total += term(start + i);
    } else {
        constexpr int PIECE = LEVEL == 1 ? SEGMENT : SEGMENT * SEGMENT;
        for (int i = 0, piece = 0; i < count; i += PIECE, ++piece) {
            const int size = count - i < PIECE ? count - i : PIECE;
            const double sum = warp_pieces<LEVEL - 1>(start + i, size, lane, term);
            if (piece % LANES == lane) total += sum;
        }
    }
    return halve(total);
}

// The sum of term(0) ... term(count - 1) by a warp, for 1 <= count < 2^30, in every lane.
template <class Term>
__device__ inline double warp_ordered_sum(int count, int lane, const Term& term) {
    if (count <= SEGMENT) return warp_pieces<0>(0, count, lane, term);
    if (count <= SEGMENT * SEGMENT) return warp_pieces<1>(0, count, lane, term);
    return warp_pieces<2>(0, count, lane, term);
}

// --- exact sums over examples ----------------------------------------------------------

constexpr int BITS = 32, BINS = 62, BROKEN = 60, BOTTOM = -28;
constexpr int64 BASE = int64(1) << BITS;

struct Accumulator {
    int64 level, high, middle, low;
};

// The level of a leaf's sum: t + 28, for the smallest t >= -28 with |x| <= 2^(32 t + 31).
// Infinity and NaN have larger exponents than all numbers, and so are BROKEN.
__host__ __device__ inline int level_of(double x) {
    const int up = int((to_bits(fabs(x)) - 1) >> 52) - 1022;  // the smallest with |x| <= 2^up
    const int t = up >> 5;
    return t < BOTTOM ? 0 : t - BOTTOM;
}

// 2^(32 b), for the bin b = t - i of a level; its reciprocal is as exact.
__host__ __device__ inline double unit(int level, int i) {
    return power_of_two(BITS * (level + BOTTOM - i));
}
__host__ __device__ inline double inverse_unit(int level, int i) {
    return power_of_two(-BITS * (level + BOTTOM - i));
}

// Keep the digits in the bins of a level, if it is higher.
__host__ __device__ inline void raise(Accumulator& sum, int64 level) {
    const int64 up = level - sum.level;
    if (up <= 0) return;
    sum.low = up == 1 ? sum.middle : up == 2 ? sum.high : 0;
    sum.middle = up == 1 ? sum.high : 0;
    sum.high = 0;
    sum.level = level;
}

// Add a leaf's sum.
__host__ __device__ inline void accumulate(Accumulator& sum, double x) {
    raise(sum, level_of(x));
    if (sum.level == BROKEN) return;
    const int level = int(sum.level);
    const double high = rint(x * inverse_unit(level, 0));
    double rest = x - high * unit(level, 0);
    const double middle = rint(rest * inverse_unit(level, 1));
    rest = rest - middle * unit(level, 1);
    sum.high += int64(high);
    sum.middle += int64(middle);
    sum.low += int64(rint(rest * inverse_unit(level, 2)));
}

__host__ __device__ inline void merge(Accumulator& sum, Accumulator other) {
    raise(sum, other.level);
    raise(other, sum.level);
    sum.high += other.high;
    sum.middle += other.middle;
    sum.low += other.low;
}

// The sum as a float: carried upward, then added from the small end.
__host__ __device__ inline double total(const Accumulator& sum) {
    if (sum.level == BROKEN) return nan("");
    int64 high = sum.high, middle = sum.middle, low = sum.low;
    int64 carry = (low + BASE / 2) >> BITS;
    middle += carry;
    low -= carry * BASE;
    carry = (middle + BASE / 2) >> BITS;
    high += carry;
    middle -= carry * BASE;
    const int level = int(sum.level);
    const double rest = double(middle) * unit(level, 1) + double(low) * unit(level, 2);
    return double(high) * unit(level, 0) + rest;
}

}  // namespace neuron

#endif
