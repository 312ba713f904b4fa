/* manifest.h - the list of the files of a run (docs/architecture.md section 6), checked against its hash. */
#ifndef MR_CONNECTORS_FILES_MANIFEST_H
#define MR_CONNECTORS_FILES_MANIFEST_H

#include "core/arena.h"

enum { MANIFEST_MAX_BYTES = 64 * 1024 * 1024 };

typedef struct manifest_file {
    size_t index;       /* in the manifest, over all datasets */
    const char *name;   /* as the tenant knows it */
    const char *path;   /* below the run's folder */
    const char *sha256; /* "": not known */
    int64_t size_bytes;
    int64_t changed_ns; /* its last change when it was sealed, since 1970; 0: not known */
} manifest_file;

/* {0} is empty. */
typedef struct files_manifest {
    mr_arena arena;
    manifest_file *files; /* those of one dataset, in order */
    size_t count;
    size_t total; /* files in the manifest */
    char sha256[65];
} files_manifest;

/* Reads those of `dataset`. MR_EREFUSED when the bytes have another hash; MR_EINVALID names what is wrong in
 * the document; MR_ETOOLARGE. manifest_fini follows even then. */
mr_err manifest_load(files_manifest *manifest, const char *path, const char *sha256, const char *dataset,
                     mr_error *ret_error);
void manifest_fini(files_manifest *manifest);

#endif
