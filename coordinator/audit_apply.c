/* audit_apply.c - what the audit trail tells of an applied tenant: the fields that changed, without secrets.
 */
#include "coordinator/service_internal.h"

#include "connectors/option_tables.h"

#include <string.h>

/* A reference (`${env:NAME}`) is no secret, what it stands for is. */
static void hide(json_t *options, const mr_option *option)
{
    const char *value = json_string_value(json_object_get(options, option->name));
    if (option->secret && json_object_get(options, option->name) != NULL &&
        (value == NULL || strncmp(value, "${", 2) != 0))
        json_object_set_new(options, option->name, json_string("(secret)"));
}

static void hide_secrets(json_t *agreement)
{
    size_t i;
    json_t *sink;
    json_array_foreach(json_object_get(agreement, "sinks"), i, sink)
    {
        const char *name = json_string_value(json_object_get(sink, "class"));
        const mr_option *option = name != NULL ? mr_connector_options_find(name, MR_CONNECTOR_SINK) : NULL;
        for (; option != NULL && option->name != NULL; option++)
            hide(sink, option);
    }
}

static json_t *document_of(const mr_tenant_spec *spec)
{
    json_t *datasets = json_object();
    for (size_t i = 0; i < spec->dataset_count; i++)
        json_object_set_new(datasets, spec->datasets[i]->name, json_loads(spec->datasets[i]->text, 0, NULL));
    json_t *agreement = json_loads(spec->agreement->text, 0, NULL);
    hide_secrets(agreement);
    return json_pack("{s:o*, s:o, s:s*}", "agreement", agreement, "datasets", datasets, "program",
                     spec->program);
}

void mr_audit_apply(mr_db *db, const mr_tenant_spec *before, const mr_tenant_spec *after, int64_t version)
{
    mr_audit_entry entry = {0};
    json_t *old = before != NULL ? document_of(before) : NULL;
    json_t *new = document_of(after);
    if (old != NULL)
        json_object_set_new(old, "version", json_integer(version - 1));
    json_object_set_new(new, "version", json_integer(version));
    mr_audit_difference(old, new, &entry.before, &entry.after);
    json_decref(old);
    json_decref(new);
    mr_audit(db, &entry);
}
