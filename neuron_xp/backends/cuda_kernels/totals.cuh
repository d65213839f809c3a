// From the blocks' own sums to totals: bins that all blocks add to, and the last one's work.

#ifndef NEURON_XP_TOTALS
#define NEURON_XP_TOTALS

#include "problem.cuh"

alignas(16) extern __shared__ double shared_numbers[];

// A bin is exact whoever adds to it: bins below the three that count may lack digits.
__device__ inline void publish(const Problem& problem, const Accumulator& sum, int64 place) {
    atomicMax(&problem.levels[place], sum.level);
    if (sum.level == neuron::BROKEN || (sum.low | sum.middle | sum.high) == 0) return;
    atomicMax(&problem.depths[place], neuron::BROKEN - sum.level);
    const int64 digits[] = {sum.low, sum.middle, sum.high};
    for (int i = 0; i < 3; ++i) {
        int64* bin = &problem.bins[(sum.level + i) * problem.sums + place];
        // negative digits too: modulo 2^64, as two's complement adds
        if (digits[i] != 0) atomicAdd(reinterpret_cast<unsigned long long*>(bin), digits[i]);
    }
}

__device__ inline void use_total(const Problem& problem, const Accumulator& sum, int64 place) {
    if (problem.digits != nullptr) {
        int64* digits = problem.digits + place;
        digits[0] = sum.level;
        digits[problem.sums] = sum.high;
        digits[2 * problem.sums] = sum.middle;
        digits[3 * problem.sums] = sum.low;
        return;
    }
    double total = neuron::total(sum);
    if (problem.totals != nullptr) {
        problem.totals[place] = total;
        return;
    }
    const double old = problem.parameters[place];
    if (problem.has_l2 && place < problem.weights) total = neuron::shrunk(total, old, problem.l2);
    problem.parameters[place] = neuron::adjusted(old, total, problem.learning_rate);
}

// Take a place's total from its bins, and clear them for the next launch.
__device__ inline void collect(const Problem& problem, int64 place) {
    // __ldcg: other blocks wrote these, past the cache of this one's processor
    const int64 level = __ldcg(&problem.levels[place]);
    const int64 lowest = neuron::BROKEN - __ldcg(&problem.depths[place]);
    const auto bin = [&](int64 i) { return &problem.bins[i * problem.sums + place]; };
    Accumulator sum{level, 0, 0, 0};
    if (level < neuron::BROKEN) {
        sum.high = __ldcg(bin(level + 2));
        sum.middle = __ldcg(bin(level + 1));
        sum.low = __ldcg(bin(level));
    }
    use_total(problem, sum, place);
    for (int64 i = lowest; i < neuron::BINS && i <= level + 2; ++i) *bin(i) = 0;
    problem.levels[place] = problem.depths[place] = 0;
}

// The block that comes last, when all have published, takes the totals.
__device__ inline void finish(const Problem& problem) {
    __threadfence();  // what this thread published is seen before its block arrives
    __syncthreads();
    const bool comes_last = threadIdx.x == 0 && atomicAdd(problem.arrived, 1u) == gridDim.x - 1;
    if (!__syncthreads_or(comes_last)) return;
    __threadfence();
    for (int64 place = threadIdx.x; place < problem.sums; place += blockDim.x) {
        collect(problem, place);
    }
    if (threadIdx.x == 0) *problem.arrived = 0;
}

#endif
