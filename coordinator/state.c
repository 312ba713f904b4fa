/* state.c - see state.h. */
#include "coordinator/state.h"

#include "coordinator/audit.h"
#include "coordinator/state_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_DAYS = 7 }; /* how long an idempotency key is known */

struct mr_state {
    mr_db *db;
    int64_t forgotten_ms; /* when old keys were last removed */
};

mr_err mr_state_open(const char *dir, mr_state **ret_state, mr_error *ret_error)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/coordinator.db", dir);
    if (size < 0 || (size_t)size >= sizeof path)
        return mr_fail(ret_error, MR_EINVALID, "data.dir: the path is too long");
    mr_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "state: out of memory");
    mr_err err = mr_db_open(path, &state->db, ret_error);
    if (err == MR_OK)
        err = mr_state_migrate(state->db, ret_error);
    if (err != MR_OK) {
        mr_state_close(&state);
        return err;
    }
    *ret_state = state;
    return MR_OK;
}

void mr_state_close(mr_state **state)
{
    if (*state == NULL)
        return;
    mr_db_close(&(*state)->db);
    free(*state);
    *state = NULL;
}

mr_db *mr_state_db(mr_state *state)
{
    return state->db;
}

/* Whether the key is known; then its answer (NULL when it had none). */
static bool known(mr_db *db, const char *name, const char *key, json_t **ret_answer)
{
    mr_query *query =
        mr_db_select(db, "SELECT answer FROM idempotency WHERE name = ? AND key = ?", "tt", name, key);
    if (!mr_query_next(query))
        return false;
    *ret_answer = mr_query_null(query, 0) ? NULL : json_loads(mr_query_text(query, 0), JSON_DECODE_ANY, NULL);
    mr_query_end(query);
    return true;
}

mr_err mr_state_answer(mr_state *state, const char *name, const char *key, json_t **ret_answer,
                       mr_error *ret_error)
{
    json_t *answer = NULL;
    known(state->db, name, key, &answer);
    mr_err err = mr_db_take_error(state->db, ret_error);
    if (err == MR_OK)
        *ret_answer = answer;
    return err;
}

static void remember(mr_state *state, const mr_command *command, const json_t *answer)
{
    char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    mr_db_run(state->db, "INSERT INTO idempotency(name, key, answer, at_ms) VALUES(?, ?, ?, ?)", "ttti",
              command->name, command->key, text, command->now_ms);
    free(text);
    if (command->now_ms - state->forgotten_ms > 3600000) {
        mr_db_run(state->db, "DELETE FROM idempotency WHERE at_ms < ?", "i",
                  command->now_ms - (int64_t)KEY_DAYS * 86400000);
        state->forgotten_ms = command->now_ms;
    }
}

mr_err mr_state_apply(mr_state *state, const mr_command *command, json_t **ret_answer, bool *ret_repeated,
                      mr_error *ret_error)
{
    mr_db *db = state->db;
    json_t *answer = NULL;
    mr_error error = {0};
    bool repeated = false;
    if (command->key != NULL && strlen(command->key) > 300)
        return mr_fail(ret_error, MR_EINVALID, "the idempotency key is longer than 200 bytes");
    mr_db_begin(db);
    if (command->key != NULL)
        repeated = known(db, command->name, command->key, &answer);
    mr_err err = MR_OK;
    if (!repeated && !mr_db_failed(db)) {
        const mr_audit_mark mark = mr_audit_begin(db);
        err = command->execute(db, command->arg, &answer, &error);
        if (err == MR_OK)
            mr_audit_end(db, mark, command, answer);
        if (err == MR_OK && command->key != NULL)
            remember(state, command, answer);
    }
    if (err == MR_OK)
        mr_db_commit(db);
    else
        mr_db_rollback(db);
    mr_error kept;
    if (mr_db_take_error(db, &kept) != MR_OK) {
        mr_db_rollback(db);
        error = kept;
        err = kept.code;
    }
    if (err != MR_OK) {
        json_decref(answer);
        if (ret_error != NULL)
            *ret_error = error;
        return err;
    }
    if (ret_repeated != NULL)
        *ret_repeated = repeated;
    if (ret_answer != NULL)
        *ret_answer = answer;
    else
        json_decref(answer);
    return MR_OK;
}
