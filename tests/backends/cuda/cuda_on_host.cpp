// The CUDA kernels on the host: each thread of a block is a context that runs until it has
// to wait for others. Which of them goes first may be turned around, so that a barrier that
// is missing shows.

#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks
#include <setjmp.h>
#include <ucontext.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#define __global__
#define __shared__
#define __launch_bounds__(...)

struct Index {
    unsigned x;
};
static Index threadIdx, blockIdx, blockDim, gridDim;
static void __syncthreads();
static int __syncthreads_or(int x);
static void __syncwarp();
static void __threadfence() {}
template <class T> static T __ldg(const T* x) { return *x; }
template <class T> static T __ldcg(const T* x) { return *x; }
template <class T, class U> static T atomicMax(T* kept, U x) {
    const T old = *kept;
    if (x > old) *kept = x;
    return old;
}
template <class T, class U> static T atomicAdd(T* sum, U x) {
    const T old = *sum;
    *sum += x;
    return old;
}

#include KERNELS

double shared_numbers[227 * 1024 / sizeof(double)];

struct Barrier {
    int size = 0, waiting = 0;
    long long passed = 0;
};

struct Warp {
    Barrier barrier;
    double numbers[LANES];
};

struct Thread {
    ucontext_t start;
    jmp_buf place;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool started = false, done = false;
    static constexpr int STACK = 1 << 16;
};

static jmp_buf scheduler;
static std::vector<Thread> threads;
static std::vector<Warp> warps;
static Barrier block_barrier;
static bool progress;
static void (*kernel)(const Problem*);
static const Problem* problem;

__attribute__((noinline)) static void resume(Thread& thread) {
    if (_setjmp(scheduler)) return;
    if (thread.started) _longjmp(thread.place, 1);
    thread.started = true;
    setcontext(&thread.start);
}

__attribute__((noinline)) static void give_way(Thread& thread) {
    if (!_setjmp(thread.place)) _longjmp(scheduler, 1);
}

static void wait(Barrier& barrier) {
    const long long passed = barrier.passed;
    const unsigned self = threadIdx.x;
    if (++barrier.waiting == barrier.size) {
        barrier.waiting = 0;
        ++barrier.passed;
        progress = true;
    }
    while (barrier.passed == passed) give_way(threads[self]);
}

static void __syncthreads() { wait(block_barrier); }
static void __syncwarp() { wait(warps[threadIdx.x / LANES].barrier); }

static int __syncthreads_or(int x) {
    static bool any;
    if (threadIdx.x == 0) any = false;
    wait(block_barrier);
    any = any || x;
    wait(block_barrier);
    const bool found = any;
    wait(block_barrier);
    return found;
}

double __shfl_xor_sync(unsigned, double value, int distance) {
    const unsigned self = threadIdx.x;
    Warp& warp = warps[self / LANES];
    warp.numbers[self % LANES] = value;
    wait(warp.barrier);
    const double other = warp.numbers[(self % LANES) ^ distance];
    wait(warp.barrier);
    return other;
}

static void run_thread() {
    kernel(problem);
    threads[threadIdx.x].done = progress = true;
    give_way(threads[threadIdx.x]);
}

// False if the threads wait for each other for ever.
static bool run_block(bool backwards) {
    const int count = int(blockDim.x);
    threads = std::vector<Thread>(count);
    warps = std::vector<Warp>(count / LANES);
    for (Warp& warp : warps) warp.barrier.size = LANES;
    block_barrier = Barrier{count};
    for (Thread& thread : threads) {
        getcontext(&thread.start);
        thread.start.uc_stack.ss_sp = thread.stack.get();
        thread.start.uc_stack.ss_size = Thread::STACK;
        makecontext(&thread.start, run_thread, 0);
    }
    do {
        progress = false;
        for (int i = 0; i < count; ++i) {
            threadIdx.x = backwards ? count - 1 - i : i;
            Thread& thread = threads[threadIdx.x];
            if (!thread.done) resume(thread);
        }
    } while (progress);
    for (const Thread& thread : threads) {
        if (!thread.done) return false;
    }
    return true;
}

// False too if a block writes beyond the shared memory that it asked for.
static bool run_grid(
    unsigned blocks, unsigned threads_each, unsigned shared_bytes, bool backwards
) {
    static const std::vector<char> untouched(sizeof shared_numbers, char(0xff));
    const char* bytes = reinterpret_cast<const char*>(shared_numbers);
    blockDim.x = threads_each;
    gridDim.x = blocks;
    for (unsigned i = 0; i < blocks; ++i) {
        blockIdx.x = backwards ? blocks - 1 - i : i;
        std::memcpy(shared_numbers, untouched.data(), untouched.size());  // NaN, not 0
        if (!run_block(backwards)) return false;
        const size_t beyond = untouched.size() - shared_bytes;
        if (std::memcmp(bytes + shared_bytes, untouched.data(), beyond)) return false;
    }
    return true;
}

extern "C" bool launch(
    const char* name, unsigned blocks, unsigned threads_each, unsigned shared_bytes,
    bool backwards, const Problem* given
) {
    problem = given;
#ifdef FEATURES
    kernel = add_leaves;
#else
    kernel = std::strcmp(name, "train") ? add_leaves : train;
#endif
    return run_grid(blocks, threads_each, shared_bytes, backwards);
}

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

static const double* warp_terms;
static int warp_count;
static double warp_totals[LANES];

static void sum_in_warp(const Problem*) {
    const unsigned lane = threadIdx.x;
    const auto term = [](int i) { return warp_terms[i]; };
    warp_totals[lane] = neuron::warp_ordered_sum(warp_count, int(lane), term);
}

extern "C" bool sum_by_warp(int count, const double* x, double* totals) {
    warp_terms = x;
    warp_count = count;
    kernel = sum_in_warp;
    const bool done = run_grid(1, LANES, 0, false);
    std::memcpy(totals, warp_totals, sizeof warp_totals);
    return done;
}

extern "C" double exact_sum(int64 count, const double* x, int64* digits) {
    Accumulator sum{0, 0, 0, 0};
    for (int64 i = 0; i < count; ++i) neuron::accumulate(sum, x[i]);
    std::memcpy(digits, &sum, sizeof sum);
    return neuron::total(sum);
}
