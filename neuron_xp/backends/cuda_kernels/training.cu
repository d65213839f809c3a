// Iterations of the training, for CUDA: a block of threads works on one leaf at a time.
//
// A leaf's 64 examples go through the network and back, and leave their sums in the block's
// own accumulators, each of which has one thread that adds to it. `train` runs whole
// iterations in one block. For many leaves, `add_leaves` spreads them over blocks, which add
// their digits to bins in global memory, in any order; `finish` takes the totals.

#include "arithmetic.cuh"

using neuron::Accumulator;
using neuron::int64;
using neuron::LANES;
using neuron::LEAF;
using neuron::Matrix;
using neuron::odd;

constexpr int FEW_TERMS = 64, MOST_THREADS = 256;

// Examples, network and memory. Fields of 8 bytes each, in the order of cuda.py's.
struct Problem {
    const double *inputs, *targets;
    const double *sample_weight, *mean, *inverse_scale;  // null for none
    double* parameters;  // layer by layer: weights, inputs before neurons; then all biases
    double* losses;      // where to put the losses; null: adjust the parameters
    const int64* sizes;  // how many inputs, and neurons of each layer
    int64 layers, rows, weights, sums;  // `sums`: how many totals are asked for
    int64 has_biases, rule, no_tiny_inputs, has_l2;
    double learning_rate, l2;
    int64 iterations;  // of `train`
    neuron::Tables tables;
    int64 *levels, *bins;  // of `finish`: (sums,), the highest level; (62, sums), its digits
    double* workspace;     // workspace_size numbers a block; null: shared memory
    int64 workspace_size;
    int64 staged;  // whether a leaf's inputs are copied to the workspace first
};

struct Layer {
    int inputs, neurons;
    bool is_first, is_last;
    int64 first_weight, first_bias;  // their places among the parameters
    const double *weights, *biases;
    Matrix outputs, deltas;  // (64, neurons)
};

// A block of threads and the leaf that it works on.
struct Block {
    const Problem& problem;
    double* const workspace;  // staged inputs, outputs, deltas, accumulators
    const int thread, threads;
    int64* accumulators;  // (4, sums)
    int64 first_row;
    int rows;
    Matrix inputs;

    __device__ Block(const Problem& problem, double* workspace)
        : problem(problem), workspace(workspace), thread(threadIdx.x), threads(blockDim.x) {
        const Matrix last = layer(int(problem.layers) - 1).deltas;
        accumulators = reinterpret_cast<int64*>(last.numbers + LEAF * last.stride);
    }

    __device__ Layer layer(int index) const {
        int64 first_weight = 0, first_bias = problem.weights, before = 0, all = 0;
        for (int i = 0; i < problem.layers; ++i) {
            const int64 neurons = problem.sizes[i + 1];
            first_weight += i < index ? problem.sizes[i] * neurons : 0;
            first_bias += i < index ? neurons : 0;
            before += i < index ? LEAF * odd(neurons) : 0;
            all += LEAF * odd(neurons);
        }
        const int64 inputs = problem.sizes[index], neurons = problem.sizes[index + 1];
        double* outputs = workspace + (problem.staged ? LEAF * odd(problem.sizes[0]) : 0) + before;
        return Layer{
            int(inputs), int(neurons), index == 0, index == problem.layers - 1,
            first_weight, first_bias,
            problem.parameters + first_weight,
            problem.has_biases ? problem.parameters + first_bias : nullptr,
            Matrix{outputs, odd(neurons)}, Matrix{outputs + all, odd(neurons)},
        };
    }

    // Take up a leaf: find its inputs, or copy them and standardize them.
    __device__ void open(int64 leaf) {
        const int columns = int(problem.sizes[0]);
        first_row = leaf * LEAF;
        rows = problem.rows - first_row < LEAF ? int(problem.rows - first_row) : LEAF;
        double* given = const_cast<double*>(problem.inputs) + first_row * columns;
        inputs = problem.staged ? Matrix{workspace, odd(columns)} : Matrix{given, columns};
        if (!problem.staged) return;
        neuron::share_pairs(rows, columns, thread, threads, [&](int row, int i) {
            double x = given[int64(row) * columns + i];
            if (problem.mean != nullptr) {
                x = neuron::standardized(x, problem.mean[i], problem.inverse_scale[i]);
            }
            inputs(row, i) = x;
        });
    }

    // use(row, column, the sum of the terms (row, column, i), i < count), for every row.
    // A thread adds few terms alone; a warp adds many, and reads them side by side.
    template <class Term, class Use>
    __device__ void sum_terms(
        int columns, int count, bool by_thread, const Term& term, const Use& use
    ) const {
        const int lane = thread % LANES;
        const int worker = by_thread ? thread : thread / LANES;
        const int workers = by_thread ? threads : threads / LANES;
        neuron::share_pairs(rows, columns, worker, workers, [&](int row, int column) {
            const auto terms = [&](int i) { return term(row, column, i); };
            const double sum = by_thread ? neuron::ordered_sum(count, terms)
                                         : neuron::warp_ordered_sum(count, lane, terms);
            if (by_thread || lane == 0) use(row, column, sum);
        });
    }

    // What an output neuron adds up over the examples: its delta, or its loss.
    __device__ double at_output(double z, double output, int row, int column) const {
        const int64 example = first_row + row;
        const double target = problem.targets[example * problem.sizes[problem.layers] + column];
        const double x = problem.losses == nullptr
            ? neuron::delta(problem.rule, output, target)
            : neuron::loss(problem.rule, z, output, target, problem.tables);
        if (problem.sample_weight == nullptr) return x;
        return neuron::weighted(x, problem.sample_weight[example]);
    }

    // From a layer's inputs to its outputs; in the last layer, on to its deltas.
    __device__ void forward(const Layer& layer, const Matrix& values) const {
        const bool no_tiny_inputs = layer.is_first && problem.no_tiny_inputs;
        const bool near = problem.staged || !layer.is_first;
        const auto term = [&](int row, int column, int i) {
            const double weight = layer.weights[int64(i) * layer.neurons + column];
            return neuron::product(values(row, i), weight, no_tiny_inputs);
        };
        const auto use = [&](int row, int column, double z) {
            if (layer.biases != nullptr) z = z + layer.biases[column];
            const double output = neuron::sigmoid(z, problem.tables);
            if (layer.is_last) {
                layer.deltas(row, column) = at_output(z, output, row, column);
            } else {
                layer.outputs(row, column) = output;
            }
        };
        sum_terms(layer.neurons, layer.inputs, near && layer.inputs <= FEW_TERMS, term, use);
    }

    // From the next layer's deltas to this one's.
    __device__ void back(const Layer& layer, const Layer& next) const {
        const auto term = [&](int row, int column, int i) {
            const double weight = next.weights[int64(column) * next.neurons + i];
            return neuron::product(next.deltas(row, i), weight, false);
        };
        const auto use = [&](int row, int column, double error) {
            layer.deltas(row, column) = neuron::hidden_delta(error, layer.outputs(row, column));
        };
        sum_terms(layer.neurons, next.neurons, next.neurons <= FEW_TERMS, term, use);
    }

    __device__ Accumulator accumulator(int64 place) const {
        const int64 *sum = accumulators + place, size = problem.sums;
        return Accumulator{sum[0], sum[size], sum[2 * size], sum[3 * size]};
    }

    // Add a leaf's sum to the accumulator of that place, which is this thread's alone.
    __device__ void add(int64 place, double x) const {
        Accumulator sum = accumulator(place);
        neuron::accumulate(sum, x, problem.tables);
        int64 *kept = accumulators + place, size = problem.sums;
        kept[0] = sum.level;
        kept[size] = sum.high;
        kept[2 * size] = sum.middle;
        kept[3 * size] = sum.low;
    }

    // Deltas and losses are 0 or at least 2^-900, so none of these terms counts as 0.
    __device__ void add_columns(const Layer& layer, int64 place) const {
        for (int j = thread; j < layer.neurons; j += threads) {
            const auto term = [&](int row) { return layer.deltas(row, j); };
            add(place + j, neuron::ordered_sum(rows, term));
        }
    }

    __device__ void add_products(const Layer& layer, const Matrix& values) const {
        const bool no_tiny_inputs = layer.is_first && problem.no_tiny_inputs;
        neuron::share_pairs(layer.inputs, layer.neurons, thread, threads, [&](int i, int j) {
            const auto term = [&](int row) {
                return neuron::product(values(row, i), layer.deltas(row, j), no_tiny_inputs);
            };
            add(layer.first_weight + int64(i) * layer.neurons + j, neuron::ordered_sum(rows, term));
        });
    }

    __device__ Matrix values(int index) const {
        return index == 0 ? inputs : layer(index - 1).outputs;
    }

    // The barriers: what comes next reads what other threads have written.
    __device__ void add_leaf(int64 leaf) {
        const int last = int(problem.layers) - 1;
        open(leaf);
        __syncthreads();
        for (int i = 0; i <= last; ++i) {
            forward(layer(i), values(i));
            __syncthreads();
        }
        if (problem.losses != nullptr) {
            add_columns(layer(last), 0);
        } else {
            for (int i = last - 1; i >= 0; --i) {
                back(layer(i), layer(i + 1));
                __syncthreads();
            }
            for (int i = 0; i <= last; ++i) {
                add_products(layer(i), values(i));
                if (problem.has_biases) add_columns(layer(i), layer(i).first_bias);
            }
        }
        __syncthreads();
    }

    // There is at least one, whose first barrier ends the clearing too.
    __device__ void add_leaves(int64 first, int64 step) {
        for (int64 i = thread; i < 4 * problem.sums; i += threads) accumulators[i] = 0;
        for (int64 leaf = first; leaf * LEAF < problem.rows; leaf += step) add_leaf(leaf);
    }
};

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
    if (problem.losses != nullptr) {
        problem.losses[place] = total;
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
