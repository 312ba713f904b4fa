/* import.h - a coordinator whose database is older than what staging says: it was restored from a copy.
 *
 * At each start staging is compared with the database, and what the database does not know is taken in from
 * the records that lie there (records.h): tenants and their newer versions, runs that are open or finished,
 * files that wait. Without a restored copy there is nothing to do. Each tenant, run and file is a command of
 * its own, and what a kill left out is found again at the next start.
 */
#ifndef MR_COORDINATOR_IMPORT_H
#define MR_COORDINATOR_IMPORT_H

#include "coordinator/records.h"

enum { MR_IMPORT_PATH = 400 };

/* A folder of a run that the database does not know, or not as far as it has come. */
typedef struct mr_found_run {
    char run_uid[UID_BYTES];
    char tenant[64];
    char uid[UID_BYTES];
    int64_t seq;
    char *run_json;
    char *result_json;     /* NULL: the run is not decided yet */
    int64_t sealed_epoch;  /* of the newest manifest; 0: there is none */
    int64_t program_epoch; /* the newest that has left something; 0: none */
    char manifest_sha256[65];
} mr_found_run;

/* All of it. A record that cannot be read is told and left where it is; an error means that nothing should go
 * on. */
mr_err mr_import_staging(mr_service *service, mr_error *ret_error);

/* --- its parts --- */

/* Takes in tenants/{tenant}/tenant.json where it is newer; writes it where it is missing. */
mr_err mr_import_tenant(mr_service *service, const char *tenant, bool *ret_newer, mr_error *ret_error);
/* Within a command: schemas of a record that are not known, with their ids. */
void mr_import_schemas(mr_db *db, const char *uid, const char *record);
/* Within a command: the upload that the record tells of is there in that state, under that name (NULL: the
 * record's); returns its id, another one than the record's where that is taken. run_uid may be NULL. */
int64_t mr_import_upload(mr_db *db, const char *tenant, const char *uid, const char *record, const char *name,
                         const char *state, const char *run_uid);
/* Fills in what the folders of the run say; false when the run needs nothing, or cannot be understood. */
bool mr_import_look(mr_service *service, const char *run_uid, const char *tenant, mr_found_run *ret_run);
void mr_import_run_fini(mr_found_run *run);
mr_err mr_import_run(mr_service *service, const mr_found_run *run, mr_error *ret_error);
/* An open run of the database whose folder is nowhere: it was cancelled, or it ended and its retention
 * passed. */
mr_err mr_import_gone_run(mr_service *service, const mr_run *run, mr_error *ret_error);
/* Files in the tenant's in/ that the database does not know; where `newer`, those that it holds for ready and
 * are not there were handled. */
mr_err mr_import_uploads(mr_service *service, const mr_tenant *tenant, bool newer, mr_error *ret_error);

#endif
