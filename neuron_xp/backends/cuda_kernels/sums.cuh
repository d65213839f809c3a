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

struct Accumulator {
    int64 level, high, middle, low;
};

// Keep the digits in the bins of a level that is no lower.
__host__ __device__ inline void raise(Accumulator& sum, int64 level) {
    for (int64 up = level - sum.level; up > 0; --up) {
        sum.low = sum.middle;
        sum.middle = sum.high;
        sum.high = 0;
    }
    sum.level = level;
}

// Add a leaf's sum. What cannot be summed, NaN among it, fails every comparison.
__host__ __device__ inline void accumulate(Accumulator& sum, double x, const Tables& tables) {
    int64 level = sum.level;
    while (level < BROKEN && !(fabs(x) <= tables.limit[level])) ++level;
    if (level > sum.level) raise(sum, level);
    if (level == BROKEN) return;
    const double* units = tables.units + level;
    const double high = rint(x * units[3 * LEVELS]);
    double rest = x - high * units[0];
    const double middle = rint(rest * units[4 * LEVELS]);
    rest = rest - middle * units[LEVELS];
    sum.high += int64(high);
    sum.middle += int64(middle);
    sum.low += int64(rint(rest * units[5 * LEVELS]));
}

// The sum as a float: carried upward, then added from the small end.
__host__ __device__ inline double total(const Accumulator& sum, const Tables& tables) {
    if (sum.level == BROKEN) return nan("");
    int64 high = sum.high, middle = sum.middle, low = sum.low;
    int64 carry = (low + BASE / 2) >> BITS;
    middle += carry;
    low -= carry * BASE;
    carry = (middle + BASE / 2) >> BITS;
    high += carry;
    middle -= carry * BASE;
    const double* units = tables.units + sum.level;
    const double rest = double(middle) * units[LEVELS] + double(low) * units[2 * LEVELS];
    return double(high) * units[0] + rest;
}

}  // namespace neuron

#endif
