// The CUDA kernels on the host, as their C++ is written.

#include <cstdlib>

#include "cuda_names.hpp"

#include KERNELS

using fibers::run_grid;

extern "C" bool launch(
    const char* name, unsigned blocks, unsigned threads_each, unsigned shared_bytes,
    bool backwards, const Problem* given
) {
#ifdef FEATURES
    const auto kernel = add_leaves;
#else
    const auto kernel = std::strcmp(name, "train") ? add_leaves : train;
#endif
    return run_grid(blocks, threads_each, shared_bytes, backwards, [&] { kernel(given); });
}

extern "C" const char* why_it_failed() { return fibers::failure.c_str(); }

// --- the arithmetic alone --------------------------------------------------------------

static neuron::Tables tables;

extern "C" void use_tables(const neuron::Tables* given) { tables = *given; }

// use(z - max(z), e^that, the sum of both) for the first of two classes.
template <class Use>
static double first_of_two(double z, double other, const Use& use) {
    const double largest = neuron::larger(z, other);
    const double e = neuron::exp(z - largest, tables);
    return use(z - largest, e, e + neuron::exp(other - largest, tables));
}

static double value(const std::string& name, double a, double b, double c) {
    if (name == "exp") return neuron::exp(a, tables);
    if (name == "log1p") return neuron::log1p(a, tables);
    if (name == "log") return neuron::log(a, tables);
    if (name == "sigmoid") return neuron::sigmoid(a, tables);
    if (name == "softmax") return first_of_two(a, b, [](double below, double e, double sum) {
        return neuron::softmax(below, e, sum);
    });
    if (name == "softmax loss") return first_of_two(a, b, [&](double below, double, double sum) {
        return neuron::softmax_loss(below, sum, c, tables);
    });
    if (name == "standardized") return neuron::standardized(a, b, c);
    if (name == "article delta") return neuron::delta(0, a, b);
    if (name == "delta") return neuron::delta(1, a, b);
    if (name == "hidden delta") return neuron::hidden_delta(a, b);
    if (name == "weighted") return neuron::weighted(a, b);
    if (name == "article loss") return neuron::loss(0, a, b, c, tables);
    if (name == "loss") return neuron::loss(1, a, b, c, tables);
    if (name == "adjusted") return neuron::adjusted(a, b, c);
    if (name == "shrunk") return neuron::adjusted(a, neuron::shrunk(b, a, c), 0x1p100);
    std::abort();
}

extern "C" void apply(
    const char* name, int64 count, const double* a, const double* b, const double* c, double* y
) {
    for (int64 i = 0; i < count; ++i) y[i] = value(name, a[i], b[i], c[i]);
}

extern "C" double sum_by_thread(int count, const double* x) {
    return neuron::ordered_sum(count, [&](int i) { return x[i]; });
}

extern "C" bool sum_by_warp(int count, const double* x, double* totals) {
    const auto term = [&](int i) { return x[i]; };
    return run_grid(1, LANES, 0, false, [&] {
        const int lane = int(threadIdx.x);
        totals[lane] = neuron::warp_ordered_sum(count, lane, term);
    });
}

extern "C" double exact_sum(int64 count, const double* x, int64* digits) {
    Accumulator sum{0, 0, 0, 0};
    for (int64 i = 0; i < count; ++i) neuron::accumulate(sum, x[i]);
    std::memcpy(digits, &sum, sizeof sum);
    return neuron::total(sum);
}
