// The CUDA kernels on the host, as NVRTC has compiled them: their PTX, translated.

// The kernels are compiled without optimization, which would take longer than it saves.
#pragma GCC push_options
#pragma GCC optimize("O2")
#include "ptx_machine.hpp"
#pragma GCC pop_options

struct Kernel {
    const char* name;
    void (*run)(const void* const* addresses);  // addresses of the parameters
    unsigned most_threads;
};

#include "kernels.inc"

extern "C" bool launch(
    const char* name, unsigned blocks, unsigned threads_each, unsigned shared_bytes,
    bool backwards, const void* const* given
) {
    for (const Kernel& kernel : kernels) {
        if (std::strcmp(kernel.name, name)) continue;
        if (threads_each > kernel.most_threads) {
            fibers::failure = "more threads than the kernel is compiled for";
            return false;
        }
        return fibers::run_grid(
            blocks, threads_each, SHARED_BY_NAME + shared_bytes, backwards,
            [&] { kernel.run(given); }
        );
    }
    fibers::failure = "there is no kernel of that name";
    return false;
}

extern "C" const char* why_it_failed() { return fibers::failure.c_str(); }

// Of the last launch.
extern "C" int64_t warp_instructions() { return fibers::warp_instructions; }
