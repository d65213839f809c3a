// What CUDA C++ has built in, as far as the kernels use it, for fibers.

#ifndef CUDA_NAMES
#define CUDA_NAMES

#include "fibers.hpp"

#define __global__
#define __shared__
#define __launch_bounds__(...)

struct Index {
    unsigned x;
};
#define threadIdx (Index{fibers::self->index})
#define blockIdx (Index{fibers::grid.block})
#define blockDim (Index{fibers::grid.threads})
#define gridDim (Index{fibers::grid.blocks})

// --- waiting ---------------------------------------------------------------------------

static inline void __syncthreads() { fibers::wait(); }
static inline int __syncthreads_or(int agrees) { return fibers::wait(0, 0, agrees) > 0; }
static inline int __syncthreads_and(int agrees) {
    return fibers::wait(0, 0, agrees) == fibers::grid.threads;
}
static inline int __syncthreads_count(int agrees) { return int(fibers::wait(0, 0, agrees)); }
static inline void __syncwarp(unsigned lanes = fibers::EVERY_LANE) { fibers::wait_for_lanes(lanes); }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// --- from lane to lane -----------------------------------------------------------------

template <class T>
static T shuffled(char mode, unsigned lanes, T value, unsigned by, unsigned ends = 31) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    uint64_t given = 0;
    std::memcpy(&given, &value, sizeof value);
    const uint64_t number = fibers::shuffle(mode, given, by, ends, lanes).number;
    std::memcpy(&value, &number, sizeof value);
    return value;
}

double __shfl_xor_sync(unsigned lanes, double value, int distance) {
    return shuffled('b', lanes, value, unsigned(distance));
}
template <class T> static T __shfl_xor_sync(unsigned lanes, T value, int distance) {
    return shuffled('b', lanes, value, unsigned(distance));
}
template <class T> static T __shfl_sync(unsigned lanes, T value, int from) {
    return shuffled('i', lanes, value, unsigned(from));
}
template <class T> static T __shfl_up_sync(unsigned lanes, T value, unsigned distance) {
    return shuffled('u', lanes, value, distance, 0);
}
template <class T> static T __shfl_down_sync(unsigned lanes, T value, unsigned distance) {
    return shuffled('d', lanes, value, distance);
}
static inline unsigned __ballot_sync(unsigned lanes, int agrees) {
    return fibers::ballot(agrees != 0, lanes);
}
static inline int __any_sync(unsigned lanes, int agrees) { return __ballot_sync(lanes, agrees) != 0; }
static inline int __all_sync(unsigned lanes, int agrees) {
    return __ballot_sync(lanes, agrees) == lanes;
}

// --- memory ----------------------------------------------------------------------------

template <class T> static T __ldg(const T* place) { return *place; }
template <class T> static T __ldcg(const T* place) { return *place; }

template <class T> static T atomicAdd(T* place, T x) {
    static_assert(std::is_integral_v<T>, "floats would be added in any order");
    return fibers::exchange(place, [&](T old) { return T(old + x); });
}
template <class T> static T atomicMax(T* place, T x) {
    return fibers::exchange(place, [&](T old) { return std::max(old, x); });
}
template <class T> static T atomicMin(T* place, T x) {
    return fibers::exchange(place, [&](T old) { return std::min(old, x); });
}
template <class T> static T atomicExch(T* place, T x) {
    return fibers::exchange(place, [&](T) { return x; });
}
static inline unsigned atomicInc(unsigned* place, unsigned most) {
    return fibers::exchange(place, [&](unsigned old) { return old >= most ? 0 : old + 1; });
}
static inline unsigned long long atomicAdd(unsigned long long* place, long long x) {
    return atomicAdd(place, static_cast<unsigned long long>(x));
}

#endif
