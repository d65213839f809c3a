// A problem as the kernels are given it, and rows of numbers to work on.

#ifndef NEURON_XP_PROBLEM
#define NEURON_XP_PROBLEM

#include "sums.cuh"

namespace neuron {

// --- rows of numbers, and who works on which ------------------------------------------

// Rows of numbers, one below the other; of a leaf, so that int can count them.
struct Matrix {
    double* numbers;
    int stride;
    __device__ double& operator()(int row, int column) const {
        return numbers[row * stride + column];
    }
};

// An odd stride: threads that read the same column of 32 rows find them in different banks.
__device__ inline int odd(int columns) { return columns | 1; }

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

using neuron::Accumulator;
using neuron::int64;
using neuron::LANES;
using neuron::LEAF;
using neuron::Matrix;
using neuron::odd;

constexpr int FEW_TERMS = 64, MOST_THREADS = 256;

// Examples, network and memory. Fields of 8 bytes each, in the order of problem.py's.
struct Problem {
    const double *inputs, *targets;
    const double *sample_weight, *mean, *inverse_scale;  // null for none
    const double* last_leaf;  // its inputs, with rows of 0 up to the 64th; null if it has 64
    double* parameters;  // layer by layer: weights, inputs before neurons; then all biases
    double* totals;      // where to put the totals, or their digits, (4, sums); null for both:
    int64* digits;       //     adjust the parameters
    const int64* sizes;  // how many inputs, and neurons of each layer
    int64 layers, rows, weights;
    int64 sums, first_loss;  // how many totals are asked for, and where losses begin among them
    int64 has_biases, rule, no_tiny_inputs, has_l2;
    double learning_rate, l2;
    int64 iterations;  // of `train`
    neuron::Tables tables;
    int64 *levels, *depths;  // (sums,): the highest level of a block, and 60 - the lowest
    int64* bins;             // (62, sums): the digits of all blocks
    unsigned* arrived;       // how many blocks are done
    double* workspace;       // workspace_size numbers a block; null: shared memory
    int64 workspace_size;
    int64 staged;  // whether a leaf's inputs are copied to the workspace first

    // The parameters' sums come first, then the losses of output neurons: both, or one of them.
    __device__ bool wants_parameters() const { return first_loss > 0; }
    __device__ bool wants_losses() const { return first_loss < sums; }

    // A delta or a loss, by how much its example counts.
    __device__ double weigh(double x, int64 example) const {
        return sample_weight == nullptr ? x : neuron::weighted(x, sample_weight[example]);
    }
};

struct Layer {
    int inputs, neurons;
    bool is_first, is_last;
    int64 first_weight, first_bias;  // their places among the parameters
    const double *weights, *biases;
    Matrix outputs, deltas;  // (64, neurons)
};

constexpr int LAYER_WORDS = 10;  // of 8 bytes
static_assert(sizeof(Layer) == 8 * LAYER_WORDS, "a layer's size is problem.py's, too");

#endif
