/* conformance.h - proves the promises of bus.h for any bus; each bus has a test program that calls it.
 *
 * Runs a group of cmocka tests, some of them with processes of their own. Test builds only: it arms fault
 * points, whose names in the implementation the factory tells.
 */
#ifndef MR_BUS_CONFORMANCE_H
#define MR_BUS_CONFORMANCE_H

#include "bus/bus.h"

typedef struct mr_conformance_factory {
    const char *name;
    /* Gives the configuration of a bus on which the tenant "acme" has nothing; called before each test. */
    mr_err (*make)(void *arg, mr_props **ret_config, mr_error *ret_error);
    void (*destroy)(void *arg); /* after each test, when all is closed */
    void *arg;
    const char *fault_before_commit;       /* all of the transaction is written, nothing committed */
    const char *fault_after_commit;        /* committed, the caller does not know it yet */
    const char *fault_commit_unknown;      /* fails with MR_EUNKNOWN after a commit that succeeded */
    const char *fault_commit_unknown_lost; /* fails with MR_EUNKNOWN instead of a commit */
} mr_conformance_factory;

/* Number of tests that failed. */
int mr_bus_conformance(const mr_conformance_factory *factory);

#endif
