// The reproducible arithmetic of `neuron/`, for one thread or one warp: the same bits.
//
// The compiler must round every product before it is added: --fmad=false for CUDA,
// -ffp-contract=off for a host compiler, which can compile this file as well.

#ifndef NEURON_XP_ARITHMETIC
#define NEURON_XP_ARITHMETIC

#ifndef __CUDACC__
#include <cmath>
#define __host__
#define __device__
double __shfl_xor_sync(unsigned lanes, double value, int distance);  // from whoever has a warp
#endif

namespace neuron {

typedef long long int64;

constexpr int LANES = 32, LEAF = 64, SEGMENT = 1024;
constexpr double SMALLEST_FACTOR = 0x1p-900;
constexpr double SMALLEST_PRODUCT = 0x1p-960;
constexpr double TINY_INPUT = 0x1p-60;
constexpr double SMALLEST_EXPONENT = -700.0;
constexpr double STEPS_PER_LN2 = 0x1.71547652b82fep+8;
constexpr double LN2_HIGH = 0x1.62e42fefp-9, LN2_LOW = 0x1.473de6af278edp-42;
constexpr int MIN_POWER = -1010;
constexpr int BITS = 32, BINS = 62, BROKEN = 60, LEVELS = 61;
constexpr int64 BASE = int64(1) << BITS;

// The tables of `exp_tables`, `log_tables` and `grid`. Row i of units, and row i + 3, hold
// 2^(32 b) and 2^(-32 b) of each level's bins b = t - i.
struct Tables {
    const double *exp_high, *exp_low, *power, *log_high, *log_low, *limit, *units;
};

// --- functions of one number -----------------------------------------------------------

__host__ __device__ inline double flush(double x, double smallest) {
    return fabs(x) < smallest ? 0.0 : x;
}

__host__ __device__ inline double product(double a, double b, bool no_tiny_inputs) {
    const double p = a * b;
    return no_tiny_inputs ? p : flush(p, SMALLEST_PRODUCT);
}

__host__ __device__ inline double exp(double x, const Tables& tables) {
    x = x > SMALLEST_EXPONENT ? x : SMALLEST_EXPONENT;
    const double k = rint(x * STEPS_PER_LN2);
    const double r = (x - k * LN2_HIGH) - k * LN2_LOW;
    const double series = r * (r * (r * (1.0 / 120) + 1.0 / 24) + 1.0 / 6) + 0.5;
    const double growth = (r * r) * series + r;
    const int n = int(k);
    const double high = tables.exp_high[n & 255], low = tables.exp_low[n & 255];
    return (high + (low + high * growth)) * tables.power[(n >> 8) - MIN_POWER];
}

__host__ __device__ inline double log1p(double e, const Tables& tables) {
    e = e >= 0.0 ? e : 0.0;
    const double j = rint(e * 128.0);
    const double c = j * (1.0 / 128);
    const double r = (e - c) / (1.0 + c);
    double series = r * (1.0 / 7);
    series = r * (series + -1.0 / 6);
    series = r * (series + 1.0 / 5);
    series = r * (series + -1.0 / 4);
    series = r * (series + 1.0 / 3);
    series = r * (series + -1.0 / 2);
    const int n = int(j);
    return tables.log_high[n] + (tables.log_low[n] + (r + r * series));
}

__host__ __device__ inline double sigmoid(double x, const Tables& tables) {
    const double e = exp(-fabs(x), tables);
    const double d = 1.0 / (1.0 + e);
    return x >= 0.0 ? d : (x < 0.0 ? e * d : x);
}

__host__ __device__ inline double sigmoid_gradient(double output) {
    return output * (1.0 - output);
}

__host__ __device__ inline double standardized(double x, double mean, double inverse_scale) {
    return flush(flush(x - mean, SMALLEST_PRODUCT) * inverse_scale, TINY_INPUT);
}

// --- learning rules --------------------------------------------------------------------

constexpr int ARTICLE_RULE = 0;  // error_weighted_derivative; any other is cross_entropy

__host__ __device__ inline double delta(int64 rule, double output, double target) {
    const double error = target - output;
    const double change = rule == ARTICLE_RULE ? error * sigmoid_gradient(output) : error;
    return flush(change, SMALLEST_FACTOR);
}

// From the sum of the next layer's deltas times the weights between.
__host__ __device__ inline double hidden_delta(double error, double output) {
    return flush(error * sigmoid_gradient(output), SMALLEST_FACTOR);
}

// A delta or a loss, for an example that counts `sample_weight` times.
__host__ __device__ inline double weighted(double x, double sample_weight) {
    return flush(x * sample_weight, SMALLEST_FACTOR);
}

__host__ __device__ inline double loss(
    int64 rule, double z, double output, double target, const Tables& tables
) {
    if (rule == ARTICLE_RULE) {
        const double error = target - output;
        return flush(0.5 * (error * error), SMALLEST_FACTOR);
    }
    const double rest = log1p(exp(-fabs(z), tables), tables);
    return flush(((z > 0.0 ? z : 0.0) - target * z) + rest, SMALLEST_FACTOR);
}

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

__host__ __device__ inline double shrunk(double sum, double weight, double l2) {
    return sum - flush(weight * l2, SMALLEST_PRODUCT);
}

__host__ __device__ inline double adjusted(double old, double sum, double learning_rate) {
    return flush(old + sum * learning_rate, SMALLEST_FACTOR);
}

// --- rows of numbers, and who works on which ------------------------------------------

// Rows of numbers, one below the other.
struct Matrix {
    double* numbers;
    int64 stride;
    __device__ double& operator()(int row, int column) const {
        return numbers[row * stride + column];
    }
};

// An odd stride: threads that read the same column of 32 rows find them in different banks.
__device__ inline int64 odd(int64 columns) { return columns | 1; }

// Calls f(row, column) for each pair; worker 0, 1, ... takes every `workers`-th of them.
template <class F>
__device__ inline void share_pairs(int rows, int columns, int worker, int workers, const F& f) {
    int row = worker / columns, column = worker % columns;
    const int down = workers / columns, right = workers % columns;
    while (row < rows) {
        f(row, column);
        row += down;
        column += right;
        if (column >= columns) {
            column -= columns;
            ++row;
        }
    }
}

}  // namespace neuron

#endif
