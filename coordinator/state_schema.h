/* state_schema.h - the tables of coordinator.db, as steps that bring an older file up to date. */
#ifndef MR_COORDINATOR_STATE_SCHEMA_H
#define MR_COORDINATOR_STATE_SCHEMA_H

#include "coordinator/db.h"

/* Runs the steps that the file does not have yet, each in a transaction of its own. MR_EREFUSED when the file
 * was written by a newer version. */
mr_err mr_state_migrate(mr_db *db, mr_error *ret_error);

#endif
