/* audit.c - see audit.h. An entry is inserted unsigned (time 0) by the command, and signed at its end. */
#include "coordinator/audit.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_BYTES = 64 * 1024, VALUE_BYTES = 4 * 1024, EXPIRE_SLICE = 5000 };

static json_t *not_shown(size_t size)
{
    return json_sprintf("(%zu bytes, not shown)", size);
}

/* As text of at most `limit` bytes, else how long it would be; NULL for NULL. The caller frees. */
static char *bounded_text(const json_t *value, size_t limit)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text == NULL || strlen(text) <= limit)
        return text;
    json_t *instead = not_shown(strlen(text));
    free(text);
    text = json_dumps(instead, JSON_ENCODE_ANY);
    json_decref(instead);
    return text;
}

void mr_audit(mr_db *db, const mr_audit_entry *entry)
{
    char *before = bounded_text(entry->before, ENTRY_BYTES);
    char *after = bounded_text(entry->after, ENTRY_BYTES);
    mr_db_run(db, "INSERT INTO audit(at_ms, tenant, what, subject, before, after) VALUES(0, ?, '', ?, ?, ?)",
              "tttt", entry->tenant, entry->subject, before, after);
    free(before);
    free(after);
    json_decref(entry->before);
    json_decref(entry->after);
}

mr_audit_mark mr_audit_begin(mr_db *db)
{
    return (mr_audit_mark){mr_db_int(db, 0, "SELECT max(id) FROM audit", ""), mr_db_changes(db)};
}

void mr_audit_end(mr_db *db, mr_audit_mark mark, const mr_command *command, const json_t *answer)
{
    if (mr_db_changes(db) == mark.changes)
        return;
    if (answer != NULL && mr_db_int(db, 0, "SELECT max(id) FROM audit", "") == mark.last_id)
        mr_audit(db, &(mr_audit_entry){.after = json_deep_copy(answer)});
    mr_db_run(db,
              "UPDATE audit SET at_ms = ?, who = ?, peer = ?, what = ?, tenant = coalesce(tenant, ?)"
              " WHERE id > ?",
              "itttti", command->now_ms, command->who, command->from, command->name, command->tenant,
              mark.last_id);
}

/* --- differences --- */

static json_t *shown(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    const size_t size = text != NULL ? strlen(text) : 0;
    free(text);
    return size > VALUE_BYTES ? not_shown(size) : json_deep_copy(value);
}

static void set_present(json_t *object, const char *name, json_t *value)
{
    if (value != NULL)
        json_object_set_new(object, name, value);
}

static void member_difference(const char *name, const json_t *before, const json_t *after, json_t *to_before,
                              json_t *to_after)
{
    json_t *inner_before = NULL, *inner_after = NULL;
    if (json_equal(before, after))
        return;
    if ((before == NULL || json_is_object(before)) && (after == NULL || json_is_object(after))) {
        mr_audit_difference(before, after, &inner_before, &inner_after);
    } else {
        inner_before = before != NULL ? shown(before) : NULL;
        inner_after = after != NULL ? shown(after) : NULL;
    }
    set_present(to_before, name, inner_before);
    set_present(to_after, name, inner_after);
}

void mr_audit_difference(const json_t *before, const json_t *after, json_t **ret_before, json_t **ret_after)
{
    const char *name;
    json_t *value, *to_before = json_object(), *to_after = json_object();
    json_object_foreach((json_t *)before, name, value) /* jansson's iterators are not const, but only read */
        member_difference(name, value, json_object_get(after, name), to_before, to_after);
    json_object_foreach((json_t *)after, name, value)
    {
        if (json_object_get(before, name) == NULL)
            member_difference(name, NULL, value, to_before, to_after);
    }
    if (before == NULL)
        json_decref(to_before);
    if (after == NULL)
        json_decref(to_after);
    *ret_before = before != NULL ? to_before : NULL;
    *ret_after = after != NULL ? to_after : NULL;
}

int64_t mr_audit_expire(mr_db *db, int64_t now_ms, int64_t days)
{
    return mr_db_run(
        db, "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ms < ? ORDER BY at_ms LIMIT ?)",
        "ii", now_ms - days * 86400000, (int64_t)EXPIRE_SLICE);
}
