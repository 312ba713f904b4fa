/* tenant_spec.h - all that `tenant apply` submits, validated as a whole. */
#ifndef MR_COORDINATOR_TENANT_SPEC_H
#define MR_COORDINATOR_TENANT_SPEC_H

#include "coordinator/agreement.h"
#include "coordinator/dataset.h"

typedef struct mr_tenant_spec {
    mr_agreement *agreement; /* owned */
    mr_dataset **datasets;   /* owned; at least one; as submitted */
    size_t dataset_count;
    char *program; /* owned; SHA-256 (hex) of the program folder in STAGING/programs, or NULL: no program
                      folder */
} mr_tenant_spec;

void mr_tenant_spec_fini(mr_tenant_spec *spec); /* {0}-safe */

/* Checks across documents: the id in the path is the client; there is a dataset; dataset names are unique,
 * also without regard to case and to `.` and `_` (their topics would be held for equal); several datasets
 * each have a file_pattern; no two (dataset, sink) write the same table of a key space of a store.
 * MR_EINVALID names the document and the field. */
mr_err mr_tenant_spec_check(const mr_tenant_spec *spec, const char *tenant, mr_error *ret_error);

/* Where the sink puts the rows of the dataset: its option `table`, else the dataset's. */
const char *mr_sink_table(const mr_agreement_sink *sink, const mr_dataset *dataset);

/* The dataset a file belongs to: by name (MR_ENOTFOUND), else the one whose pattern matches (the first), else
 * the only one, else MR_EINVALID saying how to choose. */
mr_err mr_tenant_spec_dataset_for(const mr_tenant_spec *spec, const char *file_name, const char *dataset,
                                  const mr_dataset **ret_dataset, mr_error *ret_error);

#endif
