// The reproducible arithmetic of `neuron/`, for one thread or one warp: the same bits.
//
// The compiler must round every product before it is added: --fmad=false for CUDA,
// -ffp-contract=off for a host compiler, which can compile this file as well.

#ifndef NEURON_XP_ARITHMETIC
#define NEURON_XP_ARITHMETIC

#ifndef __CUDACC__
#include <cmath>
#include <cstring>
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
constexpr double LN2_HIGH = 0x1.62e42fefp-9, LN2_LOW = 0x1.473de6af278edp-42;  // of ln(2)/256

// A number in two parts, side by side so that one load brings both.
struct alignas(16) Pair {
    double high, low;
};

// Of `exp_tables` and `log_tables`.
struct Tables {
    const Pair *exp, *log;
};

// --- numbers and their bits ------------------------------------------------------------

__host__ __device__ inline int64 to_bits(double x) {
#ifdef __CUDACC__
    return __double_as_longlong(x);
#else
    int64 bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
#endif
}

__host__ __device__ inline double from_bits(int64 bits) {
#ifdef __CUDACC__
    return __longlong_as_double(bits);
#else
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
#endif
}

// 2^n, for -1022 <= n <= 1023.
__host__ __device__ inline double power_of_two(int n) { return from_bits(int64(n + 1023) << 52); }

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
    const Pair root = tables.exp[n & 255];
    return (root.high + (root.low + root.high * growth)) * power_of_two(n >> 8);
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
    const Pair log = tables.log[int(j)];
    return log.high + (log.low + (r + r * series));
}

// Of 1 <= x < 2^16: k has four bits, so that its product with LN2_HIGH is exact.
__host__ __device__ inline double log(double x, const Tables& tables) {
    int k = 0;
    for (int bits = 8; bits > 0; bits /= 2) {
        const double power = double(1 << bits);
        if (x >= power) {
            k += bits;
            x = x * (1.0 / power);
        }
    }
    const double low = k * (LN2_LOW * 256);
    return k * (LN2_HIGH * 256) + (log1p(x - 1.0, tables) + low);
}

__host__ __device__ inline double sigmoid(double x, const Tables& tables) {
    const double e = exp(-fabs(x), tables);
    const double d = 1.0 / (1.0 + e);
    return x >= 0.0 ? d : (x < 0.0 ? e * d : x);
}

__host__ __device__ inline double sigmoid_gradient(double output) {
    return output * (1.0 - output);
}

// The larger of two numbers; NaN if one of them is.
__host__ __device__ inline double larger(double a, double b) {
    return b > a || b != b ? b : a;
}

// A class's output, from its z - max(z), e^that, and the sum of its row's exponentials.
__host__ __device__ inline double softmax(double below, double e, double sum) {
    return below == below ? flush(e * (1.0 / sum), SMALLEST_PRODUCT) : below;
}

__host__ __device__ inline double standardized(double x, double mean, double inverse_scale) {
    return flush(flush(x - mean, SMALLEST_PRODUCT) * inverse_scale, TINY_INPUT);
}

// --- learning rules --------------------------------------------------------------------

// error_weighted_derivative, softmax_cross_entropy; 1 is cross_entropy
constexpr int ARTICLE_RULE = 0, SOFTMAX_RULE = 2;

// Of a sigmoid or a softmax.
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

// The loss of a sigmoid.
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

// From z - max(z), and the sum of the row's exponentials.
__host__ __device__ inline double softmax_loss(
    double below, double sum, double target, const Tables& tables
) {
    return flush(target * (log(sum, tables) - below), SMALLEST_FACTOR);
}

// --- new weights and biases ------------------------------------------------------------

__host__ __device__ inline double shrunk(double sum, double weight, double l2) {
    return sum - flush(weight * l2, SMALLEST_PRODUCT);
}

__host__ __device__ inline double adjusted(double old, double sum, double learning_rate) {
    return flush(old + sum * learning_rate, SMALLEST_FACTOR);
}

}  // namespace neuron

#endif
