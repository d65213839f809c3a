// Iterations of the training, for CUDA: a block of threads works on one leaf at a time.
//
// A leaf's 64 examples go through the network and back, and leave their sums in the block's
// own accumulators, each of which has one thread that adds to it. `train` runs whole
// iterations in one block. For many leaves, `add_leaves` spreads them over blocks, which add
// their digits to bins in global memory, in any order; `finish` takes the totals.

#include "block.cuh"

// A bin is exact whoever adds to it: bins below the three that count may lack digits.
__device__ inline void publish(const Problem& problem, const Accumulator& sum, int64 place) {
    atomicMax(&problem.levels[place], sum.level);
    if (sum.level == neuron::BROKEN) return;
    const int64 digits[] = {sum.low, sum.middle, sum.high};
    for (int i = 0; i < 3; ++i) {
        int64* bin = &problem.bins[(sum.level + i) * problem.sums + place];
        // negative digits too: modulo 2^64, as two's complement adds
        if (digits[i] != 0) atomicAdd(reinterpret_cast<unsigned long long*>(bin), digits[i]);
    }
}

__device__ inline void use_total(const Problem& problem, const Accumulator& sum, int64 place) {
    double total = neuron::total(sum, problem.tables);
    if (problem.totals != nullptr) {
        problem.totals[place] = total;
        return;
    }
    const double old = problem.parameters[place];
    if (problem.has_l2 && place < problem.weights) total = neuron::shrunk(total, old, problem.l2);
    problem.parameters[place] = neuron::adjusted(old, total, problem.learning_rate);
}

extern __shared__ double shared_numbers[];

__device__ inline double* workspace_of(const Problem& problem) {
    if (problem.workspace == nullptr) return shared_numbers;
    return problem.workspace + blockIdx.x * problem.workspace_size;
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) train(const Problem* given) {
    const Problem problem = *given;
    Block block(problem, workspace_of(problem));
    for (int64 iteration = 0; iteration < problem.iterations; ++iteration) {
        block.add_leaves(0, 1);
        for (int64 place = block.thread; place < problem.sums; place += block.threads) {
            use_total(problem, block.accumulator(place), place);
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS, 2) add_leaves(const Problem* given) {
    const Problem problem = *given;
    Block block(problem, workspace_of(problem));
    block.add_leaves(blockIdx.x, gridDim.x);
    for (int64 place = block.thread; place < problem.sums; place += block.threads) {
        publish(problem, block.accumulator(place), place);
    }
}

extern "C" __global__ void finish(const Problem* given) {
    const Problem problem = *given;
    const int64 place = int64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place >= problem.sums) return;
    const int64 level = problem.levels[place];
    const int64 kept = level < neuron::BROKEN ? level : 0;
    const int64 *low = problem.bins + kept * problem.sums + place, next = problem.sums;
    use_total(problem, Accumulator{level, low[2 * next], low[next], low[0]}, place);
    problem.levels[place] = 0;
    for (int bin = 0; bin < neuron::BINS; ++bin) problem.bins[bin * problem.sums + place] = 0;
}
