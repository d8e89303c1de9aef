/* The simulator as a C interface, the same natively and as WebAssembly. */
#ifndef LATCHKEY_SIM_H
#define LATCHKEY_SIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs the world of a seed, with a planted bug (0: none), and returns the hash of its trace. */
uint64_t sim_run(uint64_t seed, uint32_t bug);

/* Runs `count` seeds from `first` on and returns one hash over all their traces. */
uint64_t sim_run_all(uint64_t first, uint32_t count);

/* Of the last run: the number of the invariant that was violated; 0: none. */
uint32_t sim_violation(void);

/* Of the last run, or all of the last `sim_run_all`: how often something was counted. */
uint64_t sim_count(uint32_t what);
uint64_t sim_fault(uint32_t what);
uint64_t sim_crash(uint32_t point);

#ifdef __cplusplus
}
#endif

#endif
