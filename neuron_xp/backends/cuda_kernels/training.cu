// Iterations of the training of any network: a block of threads works on one leaf at a time.
//
// A leaf's 64 examples go through the network and back, and leave their sums in the block's
// own accumulators, each of which has one thread that adds to it. `train` runs whole
// iterations in one block. For many leaves, `add_leaves` spreads them over blocks, which add
// their digits to bins in global memory, in any order; the last block takes the totals.

#include "block.cuh"
#include "totals.cuh"

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
    finish(problem);
}
