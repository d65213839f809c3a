// A block of threads, and its way through a leaf.

#ifndef NEURON_XP_BLOCK
#define NEURON_XP_BLOCK

#include "problem.cuh"

// A block of threads and the leaf that it works on.
struct Block {
    const Problem& problem;
    const int thread, threads, last;  // the number of the last layer
    Layer* const layers;              // all in the block's workspace, one after the other
    double* const staged_inputs;
    double* const outputs;            // (64, neurons) of each layer; then deltas
    int64* accumulators;              // (4, sums)
    int64 first_row;
    int rows;
    Matrix inputs;

    __device__ Block(const Problem& problem, double* workspace)
        : problem(problem), thread(threadIdx.x), threads(blockDim.x),
          last(int(problem.layers) - 1), layers(reinterpret_cast<Layer*>(workspace)),
          staged_inputs(workspace + (last + 1) * LAYER_WORDS),
          outputs(staged_inputs + (problem.staged ? LEAF * odd(int(problem.sizes[0])) : 0)) {
        for (int i = thread; i <= last; i += threads) layers[i] = describe_layer(i);
        __syncthreads();
        const Matrix end = layers[last].deltas;
        accumulators = reinterpret_cast<int64*>(end.numbers + LEAF * end.stride);
    }

    __device__ Layer describe_layer(int index) const {
        int64 first_weight = 0, first_bias = problem.weights, before = 0, all = 0;
        for (int i = 0; i <= last; ++i) {
            const int neurons = int(problem.sizes[i + 1]);
            first_weight += i < index ? problem.sizes[i] * neurons : 0;
            first_bias += i < index ? neurons : 0;
            before += i < index ? LEAF * odd(neurons) : 0;
            all += LEAF * odd(neurons);
        }
        const int inputs = int(problem.sizes[index]), neurons = int(problem.sizes[index + 1]);
        return Layer{
            inputs, neurons, index == 0, index == last,
            first_weight, first_bias,
            problem.parameters + first_weight,
            problem.has_biases ? problem.parameters + first_bias : nullptr,
            Matrix{outputs + before, odd(neurons)}, Matrix{outputs + before + all, odd(neurons)},
        };
    }

    // Take up a leaf: find its inputs, or copy them and standardize them.
    __device__ void open(int64 leaf) {
        const int columns = int(problem.sizes[0]);
        first_row = leaf * LEAF;
        rows = problem.rows - first_row < LEAF ? int(problem.rows - first_row) : LEAF;
        double* given = const_cast<double*>(problem.inputs) + first_row * columns;
        inputs = problem.staged ? Matrix{staged_inputs, odd(columns)} : Matrix{given, columns};
        if (!problem.staged) return;
        neuron::share_pairs(rows, columns, thread, threads, [&](int row, int i) {
            double x = given[row * columns + i];
            if (problem.mean != nullptr) {
                x = neuron::standardized(x, problem.mean[i], problem.inverse_scale[i]);
            }
            inputs(row, i) = x;
        });
    }

    // use(row, column, the sum of the terms (row, column, i), i < count), for every row.
    // A thread adds few terms alone.
    template <class Term, class Use>
    __device__ void sum_terms(
        int columns, int count, bool by_thread, const Term& term, const Use& use
    ) const {
        if (!by_thread) return sum_terms_by_warp(columns, count, term, use);
        neuron::share_pairs(rows, columns, thread, threads, [&](int row, int column) {
            const auto terms = [&](int i) { return term(row, column, i); };
            use(row, column, neuron::ordered_sum(count, terms));
        });
    }

    // A warp adds many terms, which it reads side by side. Of its sums each lane keeps one, so
    // that they are used side by side, too.
    template <class Term, class Use>
    __device__ void sum_terms_by_warp(
        int columns, int count, const Term& term, const Use& use
    ) const {
        const int lane = thread % LANES, warps = threads / LANES, pairs = rows * columns;
        const int share = (pairs + warps - 1) / warps, most = share < LANES ? share : LANES;
        for (int first = thread / LANES * most; first < pairs; first += warps * most) {
            const int sums = pairs - first < most ? pairs - first : most;
            double own = 0.0;
#pragma unroll 1
            for (int i = 0; i < sums; ++i) {
                const int row = (first + i) / columns, column = (first + i) % columns;
                const auto terms = [&](int j) { return term(row, column, j); };
                const double sum = neuron::warp_ordered_sum(count, lane, terms);
                if (lane == i) own = sum;
            }
            if (lane < sums) use((first + lane) / columns, (first + lane) % columns, own);
        }
    }

    // Keep what an output neuron adds up over the examples: its delta, its loss(target), or both.
    // The last layer's outputs are needed no more: losses take their place.
    template <class Loss>
    __device__ void learn(
        const Layer& layer, int row, int column, double output, const Loss& loss
    ) const {
        const int64 example = first_row + row;
        const double target = problem.targets[example * layer.neurons + column];
        if (problem.wants_parameters()) {
            const double delta = neuron::delta(problem.rule, output, target);
            layer.deltas(row, column) = problem.weigh(delta, example);
        }
        if (problem.wants_losses()) {
            layer.outputs(row, column) = problem.weigh(loss(target), example);
        }
    }

    // From a layer's inputs to its outputs; in the last layer, on to deltas and losses, or, for
    // a softmax, to z.
    __device__ void forward(const Layer layer, const Matrix& values) const {
        const bool no_tiny_inputs = layer.is_first && problem.no_tiny_inputs;
        const bool near = problem.staged || !layer.is_first;
        const auto term = [&](int row, int column, int i) {
            const double weight = layer.weights[i * layer.neurons + column];
            return neuron::product(values(row, i), weight, no_tiny_inputs);
        };
        const auto use = [&](int row, int column, double z) {
            if (layer.biases != nullptr) z = z + layer.biases[column];
            if (layer.is_last && problem.rule == neuron::SOFTMAX_RULE) {
                layer.outputs(row, column) = z;
                return;
            }
            const double output = neuron::sigmoid(z, problem.tables);
            if (!layer.is_last) {
                layer.outputs(row, column) = output;
                return;
            }
            learn(layer, row, column, output, [&](double target) {
                return neuron::loss(problem.rule, z, output, target, problem.tables);
            });
        };
        sum_terms(layer.neurons, layer.inputs, near && layer.inputs <= FEW_TERMS, term, use);
    }

    // The softmax: from the last layer's z to its deltas and losses. A thread compares few
    // classes of an example alone; a warp compares many.
    __device__ void compare_classes(const Layer layer) const {
        const int classes = layer.neurons;
        const bool by_thread = classes <= FEW_TERMS;
        const int lanes = by_thread ? 1 : LANES, lane = thread % lanes;
        for (int row = thread / lanes; row < rows; row += threads / lanes) {
            double largest = layer.outputs(row, 0);
            for (int j = lane; j < classes; j += lanes) {
                largest = neuron::larger(largest, layer.outputs(row, j));
            }
            if (!by_thread) largest = neuron::warp_largest(largest);
            for (int j = lane; j < classes; j += lanes) {
                layer.deltas(row, j) = neuron::exp(layer.outputs(row, j) - largest, problem.tables);
            }
            const auto term = [&](int j) { return layer.deltas(row, j); };  // the lane's own
            const double sum = by_thread ? neuron::ordered_sum(classes, term)
                                         : neuron::warp_ordered_sum(classes, lane, term);
            for (int j = lane; j < classes; j += lanes) {
                const double below = layer.outputs(row, j) - largest;
                const double output = neuron::softmax(below, layer.deltas(row, j), sum);
                learn(layer, row, j, output, [&](double target) {
                    return neuron::softmax_loss(below, sum, target, problem.tables);
                });
            }
        }
    }

    // From the next layer's deltas to this one's.
    __device__ void back(const Layer layer, const Layer next) const {
        const auto term = [&](int row, int column, int i) {
            const double weight = next.weights[column * next.neurons + i];
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
        neuron::accumulate(sum, x);
        int64 *kept = accumulators + place, size = problem.sums;
        kept[0] = sum.level;
        kept[size] = sum.high;
        kept[2 * size] = sum.middle;
        kept[3 * size] = sum.low;
    }

    // Deltas and losses are 0 or at least 2^-900, so none of these terms counts as 0.
    __device__ void add_columns(const Matrix& terms, int columns, int64 place) const {
        for (int j = thread; j < columns; j += threads) {
            const auto term = [&](int row) { return terms(row, j); };
            add(place + j, neuron::ordered_sum(rows, term));
        }
    }

    __device__ void add_products(const Layer layer, const Matrix& values) const {
        const bool no_tiny_inputs = layer.is_first && problem.no_tiny_inputs;
        neuron::share_pairs(layer.inputs, layer.neurons, thread, threads, [&](int i, int j) {
            const auto term = [&](int row) {
                return neuron::product(values(row, i), layer.deltas(row, j), no_tiny_inputs);
            };
            add(layer.first_weight + i * layer.neurons + j, neuron::ordered_sum(rows, term));
        });
    }

    __device__ Matrix values(int index) const {
        return index == 0 ? inputs : layers[index - 1].outputs;
    }

    // The barriers: what comes next reads what other threads have written.
    __device__ void add_leaf(int64 leaf) {
        open(leaf);
        __syncthreads();
        for (int i = 0; i <= last; ++i) {
            forward(layers[i], values(i));
            __syncthreads();
        }
        if (problem.rule == neuron::SOFTMAX_RULE) {
            compare_classes(layers[last]);
            __syncthreads();
        }
        if (problem.wants_losses()) {
            add_columns(layers[last].outputs, layers[last].neurons, problem.first_loss);
        }
        if (problem.wants_parameters()) add_sums();
        __syncthreads();
    }

    // Back through the network, and to the parameters' sums.
    __device__ void add_sums() {
        for (int i = last - 1; i >= 0; --i) {
            back(layers[i], layers[i + 1]);
            __syncthreads();
        }
        for (int i = 0; i <= last; ++i) {
            add_products(layers[i], values(i));
            if (problem.has_biases) {
                add_columns(layers[i].deltas, layers[i].neurons, layers[i].first_bias);
            }
        }
    }

    // There is at least one, whose first barrier ends the clearing too.
    __device__ void add_leaves(int64 first, int64 step) {
        for (int64 i = thread; i < 4 * problem.sums; i += threads) accumulators[i] = 0;
        for (int64 leaf = first; leaf * LEAF < problem.rows; leaf += step) add_leaf(leaf);
    }
};

#endif
