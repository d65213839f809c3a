// Blocks of CUDA threads on a host's processor: each thread is a context that runs until it has
// to wait for others. Which of them goes first may be turned around, so that a barrier that is
// missing shows.

#ifndef FIBERS
#define FIBERS

#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

constexpr size_t MOST_SHARED = 227 * 1024;
alignas(128) inline double shared_numbers[MOST_SHARED / sizeof(double)];  // the kernels' name

namespace fibers {

constexpr unsigned LANES = 32, MOST_THREADS = 1024, BARRIERS = 16, EVERY_LANE = 0xffffffffu;
constexpr size_t STACK = 1 << 18;

// What a lane of a warp asks of the others, and what it gets.
struct Request {
    char operation;  // of shfl.sync: 'i'dx, 'u'p, 'd'own, 'b'fly; 'v'ote; 'w'ait
    unsigned mask;   // of the lanes that take part
    uint64_t given = 0;
    unsigned by = 0, ends = 0;  // of shfl.sync
};

struct Received {
    uint64_t number;
    bool found;  // whether there is a lane to take a number from; else it is the lane's own
};

struct Thread {
    ucontext_t start;
    jmp_buf place;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool started, done;
    unsigned index;
    uint64_t meetings;  // of lanes, that this one has seen
    Received received;  // at the last one
    int64_t executed;   // instructions
};

struct Barrier {
    unsigned waiting = 0, agreeing = 0, agreed = 0;
    uint64_t passed = 0;
};

struct Warp {
    unsigned arrived = 0;
    Request requests[LANES];
};

struct Grid {
    unsigned blocks, block, threads;
};

inline char* const shared_memory = reinterpret_cast<char*>(shared_numbers);
inline Grid grid;
inline Thread* self;
inline std::string failure;  // of the last launch
inline int64_t warp_instructions;  // of a launch: each warp's are those of its busiest lane

inline jmp_buf scheduler;
inline std::vector<Thread> threads;
inline std::vector<Warp> warps;
inline Barrier barriers[BARRIERS];
inline bool progress;
inline std::function<void()> kernel;

// --- who runs --------------------------------------------------------------------------

__attribute__((noinline)) inline void resume(Thread& thread) {
    self = &thread;
    if (_setjmp(scheduler)) return;
    if (thread.started) _longjmp(thread.place, 1);
    thread.started = true;
    setcontext(&thread.start);
}

__attribute__((noinline)) inline void give_way() {
    if (!_setjmp(self->place)) _longjmp(scheduler, 1);
}

// End the launch, which will tell why.
[[noreturn]] inline void fail(const std::string& why) {
    failure = why;
    for (;;) give_way();
}

// --- who waits for whom ----------------------------------------------------------------

// Wait for so many threads of the block, 0 for all; returns how many of them agreed.
inline unsigned wait(unsigned number = 0, unsigned size = 0, bool agrees = false) {
    if (number >= BARRIERS) fail("there is no barrier " + std::to_string(number));
    Barrier& barrier = barriers[number];
    const uint64_t passed = barrier.passed;
    barrier.agreeing += agrees;
    if (++barrier.waiting == (size ? size : grid.threads)) {
        barrier.agreed = barrier.agreeing;
        barrier.waiting = barrier.agreeing = 0;
        ++barrier.passed;
        progress = true;
    }
    while (barrier.passed == passed) give_way();
    return barrier.agreed;
}

inline unsigned lane() { return self->index % LANES; }

// As PTX defines it: `ends` has the last lane in its low bits, and above them those that cut a
// warp into segments. What a lane outside the mask has is not defined: all ones, which is NaN.
inline Received shuffled(const Request* requests, unsigned own) {
    const Request& request = requests[own];
    const unsigned segment = request.ends >> 8 & 31, distance = request.by & 31;
    const int most = int((own & segment) | (request.ends & 31 & ~segment));
    int from = int((own & segment) | (distance & ~segment));
    if (request.operation == 'u') from = int(own) - int(distance);
    if (request.operation == 'd') from = int(own + distance);
    if (request.operation == 'b') from = int(own ^ distance);
    const bool found = request.operation == 'u' ? from >= most : from <= most;
    if (!found) from = int(own);
    return {request.mask >> from & 1 ? requests[from].given : ~uint64_t(0), found};
}

// Which lanes agree, a bit each.
inline Received counted(const Request* requests, unsigned mask) {
    unsigned agreeing = 0;
    for (unsigned i = 0; i < LANES; ++i) {
        if (mask >> i & 1 && requests[i].given) agreeing |= 1u << i;
    }
    return {agreeing, true};
}

// Wait for the lanes of the mask. A lane that has ended never comes.
inline Received meet(const Request& request) {
    const unsigned own = lane(), first = self->index - own, mask = request.mask;
    Warp& warp = warps[self->index / LANES];
    if (!(mask >> own & 1)) fail("a lane waits for others with a mask that leaves it out");
    warp.requests[own] = request;
    warp.arrived |= 1u << own;
    const uint64_t seen = self->meetings;
    if ((warp.arrived & mask) == mask) {
        for (unsigned i = 0; i < LANES; ++i) {
            if (!(mask >> i & 1)) continue;
            const Request& other = warp.requests[i];
            if (other.mask != mask || other.operation != request.operation) {
                fail("the lanes of a warp wait for each other in different instructions");
            }
            Thread& thread = threads[first + i];
            thread.received = other.operation == 'v' ? counted(warp.requests, mask)
                : other.operation == 'w'             ? Received{}
                                                     : shuffled(warp.requests, i);
            ++thread.meetings;
        }
        warp.arrived &= ~mask;
        progress = true;
    }
    while (self->meetings == seen) give_way();
    return self->received;
}

inline Received shuffle(char mode, uint64_t given, unsigned by, unsigned ends, unsigned mask) {
    return meet({mode, mask, given, by, ends});
}
inline unsigned ballot(bool agrees, unsigned mask) { return unsigned(meet({'v', mask, agrees}).number); }
inline void wait_for_lanes(unsigned mask) { meet({'w', mask}); }

// --- memory that others change, too ----------------------------------------------------

// Put function(old) in the place of a number, and return the old one.
template <class T, class F> T exchange(T* place, const F& function) {
    const T old = *place;
    *place = function(old);
    return old;
}

// --- launches --------------------------------------------------------------------------

inline void run_thread() {
    kernel();
    self->done = progress = true;
    for (;;) give_way();
}

inline void prepare_block() {
    while (threads.size() < grid.threads) threads.emplace_back();
    warps.assign((grid.threads + LANES - 1) / LANES, Warp());
    std::fill(barriers, barriers + BARRIERS, Barrier());
    for (unsigned i = 0; i < grid.threads; ++i) {
        Thread& thread = threads[i];
        thread.started = thread.done = false;
        thread.index = i;
        thread.meetings = 0;
        thread.executed = 0;
        getcontext(&thread.start);
        thread.start.uc_stack.ss_sp = thread.stack.get();
        thread.start.uc_stack.ss_size = STACK - 64 * (i % 64);  // in other lines of the cache
        makecontext(&thread.start, run_thread, 0);
    }
}

inline bool run_block(bool backwards) {
    prepare_block();
    do {
        progress = false;
        for (unsigned i = 0; i < grid.threads; ++i) {
            Thread& thread = threads[backwards ? grid.threads - 1 - i : i];
            if (!thread.done) resume(thread);
            if (!failure.empty()) return false;
        }
    } while (progress);
    for (unsigned i = 0; i < grid.threads; ++i) {
        if (threads[i].done) continue;
        failure = "the threads of a block wait for each other for ever";
        return false;
    }
    for (unsigned first = 0; first < grid.threads; first += LANES) {
        int64_t busiest = 0;
        for (unsigned i = first; i < std::min(first + LANES, grid.threads); ++i) {
            busiest = std::max(busiest, threads[i].executed);
        }
        warp_instructions += busiest;
    }
    return true;
}

// Run blocks one after the other, in either order. False, and `failure` tells why, if threads
// wait for ever, or a block writes beyond the shared memory that it asked for.
inline bool run_grid(
    unsigned blocks, unsigned threads_each, size_t shared_bytes, bool backwards,
    const std::function<void()>& of_each_thread
) {
    static const std::vector<char> untouched(MOST_SHARED, char(0xff));
    failure.clear();
    warp_instructions = 0;
    if (shared_bytes > MOST_SHARED) failure = "more shared memory than a block can have";
    if (threads_each > MOST_THREADS) failure = "more threads than a block can have";
    if (!failure.empty()) return false;
    kernel = of_each_thread;
    for (unsigned i = 0; i < blocks; ++i) {
        grid = {blocks, backwards ? blocks - 1 - i : i, threads_each};
        std::memcpy(shared_memory, untouched.data(), MOST_SHARED);  // NaN, not 0
        if (!run_block(backwards)) return false;
        if (std::memcmp(shared_memory + shared_bytes, untouched.data(), MOST_SHARED - shared_bytes)) {
            failure = "a block writes beyond the shared memory that it asked for";
            return false;
        }
    }
    return true;
}

}  // namespace fibers

#endif
