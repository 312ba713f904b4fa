/* records.h - what staging says of tenants, runs and uploads by itself, so that a coordinator restored from
 * an old copy of its database can take in what has happened since (import.h).
 *
 *   tenants/{id}/tenant.json   the newest specification and all schemas, written before it is acknowledged
 *   runs/{run_uid}/run.json    what the run is and has pinned, written before its first file is claimed
 *   .../result.json            outcome and ledger, written before anything moves to done/ or failed/
 *   a file in in/              extended attribute user.millrace.upload: what is known of the upload; where
 * the file system has none, an import asks the file_pattern and reads the file
 *
 * Fields are those of the tables that they come from. Thread: the loop thread.
 */
#ifndef MR_COORDINATOR_RECORDS_H
#define MR_COORDINATOR_RECORDS_H

#include "coordinator/service_internal.h"

enum { MR_RECORD_MAX_BYTES = 256 * 1024 * 1024, MR_NOTE_BYTES = 2048 };

/* Of the version that the transaction holds; may be called within a command. */
mr_err mr_record_tenant(mr_service *service, const char *tenant, const char *uid, mr_error *ret_error);
mr_err mr_record_run(mr_service *service, const char *run_uid, mr_error *ret_error);
/* Into `folder`, below STAGING; the caller syncs it. */
mr_err mr_record_result(mr_service *service, const char *run_uid, const char *folder, mr_error *ret_error);
/* Attaches what is known of the upload to its file. Nothing fails without it. */
void mr_record_upload(mr_service *service, const char *path, int64_t upload_id);

/* The text of a record; owned by the caller. MR_ENOTFOUND; MR_EINVALID when it is not JSON. */
mr_err mr_record_read(mr_service *service, const char *path, char **ret_text, mr_error *ret_error);
/* The note at a file, "" when it has none. */
void mr_record_upload_read(mr_service *service, const char *path, char note[MR_NOTE_BYTES]);

#endif
