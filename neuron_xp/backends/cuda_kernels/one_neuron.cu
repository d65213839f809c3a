// An iteration of the training of one neuron, which reads its inputs once: lanes are features.
//
// Lane l of a warp has the features l, l + 32, ... of some rows in its registers. So it has the
// lane sums of the definition, and adds its features up over the rows by itself. Only the
// halvings of a row's sum go from lane to lane, in such a way that the rows end in lanes of
// their own, and their sigmoids are computed side by side.
//
// The compiler is given FEATURES, from 1 to 1024, NO_TINY_INPUTS and SCALED.

#include "totals.cuh"

constexpr int CHUNKS = (FEATURES + LANES - 1) / LANES;  // features of a lane
constexpr int WARPS = FEATURES <= LANES ? 1 : 8;        // that share a leaf
constexpr int WORKERS = MOST_THREADS / LANES / WARPS;   // leaves that a block has at a time
constexpr int TOGETHER = WARPS == 1 ? 32 : CHUNKS <= 4 ? 8 : CHUNKS <= 16 ? 4 : 2;  // rows
constexpr int ROUNDS = LEAF / WARPS / TOGETHER;         // in which a warp takes its rows
static_assert(ROUNDS <= 4, "rounds are halved once in registers, and once in the warp's slot");
constexpr int PLACES = FEATURES + 2;                    // sums of weights, of deltas, of losses

// Of some rows: of a lane's features, and of what all lanes have.
struct Sums {
    double weights[CHUNKS], deltas, losses;
};

// The warps that work on a leaf, seen by one of their threads. Warp w has the rows w,
// w + WARPS, ...; a sum over the leaf is halved first over the rows of a round, then over the
// rounds, then over the warps.
struct Worker {
    const Problem& problem;
    const double* weights;  // (CHUNKS * LANES), with zeros at the end
    double* deltas;         // (TOGETHER): of a warp's rows
    double* slots;          // (WARPS, PLACES): a warp's sums
    int64* accumulators;    // (4, PLACES)
    int warp, lane;
    const double* inputs;   // the lane's first one, in the warp's first row
    int64 first_row;
    int rows;

    __device__ int row(int round, int i) const { return warp + WARPS * (round + ROUNDS * i); }

    // A round's inputs; 0 beyond the last feature.
    __device__ void read_inputs(int round, double (&x)[TOGETHER][CHUNKS]) const {
        const double* of_round = inputs + round * (WARPS * FEATURES);
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            if (c * LANES + lane < FEATURES) {
#pragma unroll
                for (int i = 0; i < TOGETHER; ++i) {
                    // at distances that the compiler knows
                    x[i][c] = __ldg(of_round + (WARPS * ROUNDS * i * FEATURES + c * LANES));
                }
            } else {
#pragma unroll
                for (int i = 0; i < TOGETHER; ++i) x[i][c] = 0.0;
            }
        }
    }

    __device__ void standardize(int round, double (&x)[TOGETHER][CHUNKS]) const {
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            const int feature = c * LANES + lane;
            if (feature >= FEATURES) continue;
            const double mean = __ldg(problem.mean + feature);
            const double inverse_scale = __ldg(problem.inverse_scale + feature);
#pragma unroll
            for (int i = 0; i < TOGETHER; ++i) {
                const double scaled = neuron::standardized(x[i][c], mean, inverse_scale);
                x[i][c] = row(round, i) < rows ? scaled : 0.0;
            }
        }
    }

    // The lane sums of a round's rows.
    __device__ void sum_lanes(
        const double (&x)[TOGETHER][CHUNKS], double (&sums)[TOGETHER]
    ) const {
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            const double weight = weights[c * LANES + lane];
#pragma unroll
            for (int i = 0; i < TOGETHER; ++i) {
                const double term = neuron::product(x[i][c], weight, NO_TINY_INPUTS);
                sums[i] = c == 0 ? term : sums[i] + term;
            }
        }
    }

    // The sums of the rows START, START + STEP, ..., each in lanes of its own: at each halving
    // half of the lanes go on with one row, and half with another.
    template <int START, int STEP, class LaneSum>
    __device__ double halve_rows(const LaneSum& lane_sum) const {
        if constexpr (STEP == TOGETHER) return lane_sum(START);
        else {
            const double a = halve_rows<START, 2 * STEP>(lane_sum);
            const double b = halve_rows<START + STEP, 2 * STEP>(lane_sum);
            constexpr int DISTANCE = LANES / TOGETHER * STEP;
            const bool takes_b = lane & DISTANCE;
            const double given = __shfl_xor_sync(0xffffffffu, takes_b ? a : b, DISTANCE);
            return (takes_b ? b : a) + given;
        }
    }

    // Over a round's rows, from lanes that have one row each to all lanes.
    __device__ double sum_over_rows(double x) const {
#pragma unroll
        for (int half = LANES / 2; half >= LANES / TOGETHER; half /= 2) {
            x += __shfl_xor_sync(0xffffffffu, x, half);
        }
        return x;
    }

    __device__ Sums sum_round(int round) const {
        double x[TOGETHER][CHUNKS];
        read_inputs(round, x);
        if (SCALED) standardize(round, x);
        const int own = row(round, lane / (LANES / TOGETHER));
        const bool is_row = own < rows;
        const double target = is_row ? __ldg(problem.targets + first_row + own) : 0.0;

        const double weight = weights[lane];
        double sums_of_lane[TOGETHER];
        if constexpr (CHUNKS > 1) sum_lanes(x, sums_of_lane);
        double z = halve_rows<0, 1>([&](int i) {
            // one product is computed where it is wanted: 32 would take too many registers
            if constexpr (CHUNKS > 1) return sums_of_lane[i];
            else return neuron::product(x[i][0], weight, NO_TINY_INPUTS);
        });
#pragma unroll
        for (int half = LANES / TOGETHER / 2; half > 0; half /= 2) {
            z += __shfl_xor_sync(0xffffffffu, z, half);
        }
        if (problem.has_biases) z = z + weights[CHUNKS * LANES];
        const double output = neuron::sigmoid(z, problem.tables);

        Sums sums{};
        if (problem.wants_losses()) {
            const double loss = neuron::loss(problem.rule, z, output, target, problem.tables);
            sums.losses = sum_over_rows(is_row ? problem.weigh(loss, first_row + own) : 0.0);
        }
        if (!problem.wants_parameters()) return sums;
        const double change = neuron::delta(problem.rule, output, target);
        const double delta = is_row ? problem.weigh(change, first_row + own) : 0.0;
        if (problem.has_biases) sums.deltas = sum_over_rows(delta);
        __syncwarp();
        deltas[lane / (LANES / TOGETHER)] = delta;
        __syncwarp();
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            double terms[TOGETHER];
#pragma unroll
            for (int i = 0; i < TOGETHER; ++i) {
                terms[i] = neuron::product(x[i][c], deltas[i], NO_TINY_INPUTS);
            }
            sums.weights[c] = neuron::halved<TOGETHER>(terms);
        }
        return sums;
    }

    // Those of the rounds `start`, `start` + 2: one or two.
    __device__ Sums sum_rounds(int start) const {
        Sums sums{};
#pragma unroll 1  // or the inputs of two rounds would take too many registers
        for (int round = start; round < ROUNDS; round += 2) {
            const Sums more = sum_round(round);
#pragma unroll
            for (int c = 0; c < CHUNKS; ++c) sums.weights[c] += more.weights[c];
            sums.deltas += more.deltas;
            sums.losses += more.losses;
        }
        return sums;
    }

    // Put sums into the warp's slot, or add them to those that are there.
    __device__ void keep(const Sums& sums, bool add) const {
        double* slot = slots + warp * PLACES;
        const auto put = [&](int place, double x) { slot[place] = add ? slot[place] + x : x; };
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            const int feature = c * LANES + lane;
            if (feature < FEATURES) put(feature, sums.weights[c]);
        }
        if (lane == 0) put(FEATURES, sums.deltas);
        if (lane == 1) put(FEATURES + 1, sums.losses);
    }

    __device__ void wait() const {
        if constexpr (WARPS == 1) __syncwarp();
        else __syncthreads();
    }

    __device__ Accumulator accumulator(int place) const {
        const int64* sum = accumulators + place;
        return Accumulator{sum[0], sum[PLACES], sum[2 * PLACES], sum[3 * PLACES]};
    }

    __device__ void add_leaf(int64 leaf) {
        first_row = leaf * LEAF;
        rows = problem.rows - first_row < LEAF ? int(problem.rows - first_row) : LEAF;
        inputs = rows == LEAF ? problem.inputs + first_row * FEATURES : problem.last_leaf;
        inputs += warp * FEATURES + lane;
#pragma unroll 1
        for (int start = 0; start < (ROUNDS > 1 ? 2 : 1); ++start) {
            keep(sum_rounds(start), start > 0);
        }
        wait();
        for (int place = warp * LANES + lane; place < PLACES; place += WARPS * LANES) {
            double of_warps[WARPS];
#pragma unroll
            for (int w = 0; w < WARPS; ++w) of_warps[w] = slots[w * PLACES + place];
            Accumulator sum = accumulator(place);
            neuron::accumulate(sum, neuron::halved<WARPS>(of_warps));
            int64* kept = accumulators + place;
            kept[0] = sum.level;
            kept[PLACES] = sum.high;
            kept[2 * PLACES] = sum.middle;
            kept[3 * PLACES] = sum.low;
        }
        wait();
    }
};

// Where the problem wants a sum; -1 where it does not.
__device__ inline int64 place_among(const Problem& problem, int place) {
    if (place > FEATURES) return problem.wants_losses() ? problem.first_loss : -1;
    if (place == FEATURES && !problem.has_biases) return -1;
    return problem.wants_parameters() ? place : -1;
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS, CHUNKS <= 8 ? 2 : 1) add_leaves(
    const Problem* given
) {
    const Problem& problem = *given;
    const int thread = threadIdx.x, number = thread / (WARPS * LANES);
    double* const deltas = shared_numbers;
    double* const weights = deltas + MOST_THREADS / LANES * TOGETHER;  // the last one is the bias
    double* const slots = weights + CHUNKS * LANES + 1;
    int64* const accumulators = reinterpret_cast<int64*>(slots + WORKERS * WARPS * PLACES);

    for (int i = thread; i <= CHUNKS * LANES; i += MOST_THREADS) {
        const int place = i < CHUNKS * LANES ? i : FEATURES;
        const bool is_there = place < FEATURES || (i == CHUNKS * LANES && problem.has_biases);
        weights[i] = is_there ? problem.parameters[place] : 0.0;
    }
    for (int i = thread; i < WORKERS * 4 * PLACES; i += MOST_THREADS) accumulators[i] = 0;
    __syncthreads();

    Worker worker{
        problem, weights, deltas + thread / LANES * TOGETHER,
        slots + number * WARPS * PLACES, accumulators + number * 4 * PLACES,
        thread / LANES % WARPS, thread % LANES, nullptr, 0, 0,
    };
    const int64 step = int64(gridDim.x) * WORKERS;
    for (int64 leaf = number * gridDim.x + blockIdx.x; leaf * LEAF < problem.rows; leaf += step) {
        worker.add_leaf(leaf);
    }

    __syncthreads();
    for (int i = thread; i < PLACES; i += MOST_THREADS) {
        const int64 place = place_among(problem, i);
        if (place < 0) continue;
        Accumulator sum{0, 0, 0, 0};
        for (int w = 0; w < WORKERS; ++w) {
            const int64* of_worker = accumulators + w * 4 * PLACES + i;
            neuron::merge(sum, Accumulator{
                of_worker[0], of_worker[PLACES], of_worker[2 * PLACES], of_worker[3 * PLACES],
            });
        }
        publish(problem, sum, place);
    }
    finish(problem);
}
