/* fault.h - places where a test makes this process die or fail. Compiled in only with MR_FAULTS.
 *
 *     MR_FAULT("source_after_produce");              the process may be killed here
 *     if (MR_FAULT_FAILS("bus_commit_unknown")) ...  the step may be made to fail here
 *
 * Environment (test builds):
 *   MR_FAULT_DIR=DIR    each point, when first reached, leaves DIR/NAME.reached; a kill leaves
 * DIR/NAME.killed, created exclusively, so a restart under the same environment is not killed again.
 *   MR_FAULT_KILL=NAME[:N]  kill(getpid(), SIGKILL) at the Nth (default 1st) reach of NAME in this process.
 *   MR_FAULT_STOP=NAME[:N]  kill(getpid(), SIGSTOP) there instead; leaves DIR/NAME.stopped first.
 *   MR_FAULT_FAIL=NAME[:N]  MR_FAULT_FAILS(NAME) is true once, at the Nth reach; leaves DIR/NAME.failed.
 * With MR_FAULT_DIR "at the Nth reach" means the first one from the Nth on whose mark does not exist: a test
 * arms a point of a running process by removing the mark. Several points are separated by commas. Names are
 * unique in the tree and are literals, so that a test can list them with grep and fail on one that is never
 * reached.
 */
#ifndef MR_CORE_FAULT_H
#define MR_CORE_FAULT_H

#include <stdbool.h>

#ifdef MR_FAULTS
void mr_fault_hit(const char *name);
bool mr_fault_fails(const char *name);
#define MR_FAULT(name)       mr_fault_hit(name)
#define MR_FAULT_FAILS(name) mr_fault_fails(name)
#else
#define MR_FAULT(name)       ((void)0)
#define MR_FAULT_FAILS(name) false
#endif

#endif
