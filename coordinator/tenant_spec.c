#include "coordinator/tenant_spec.h"

#include "coordinator/time_zone.h"

#include <ctype.h>
#include <stdlib.h>

void mr_tenant_spec_fini(mr_tenant_spec *spec)
{
    mr_agreement_close(&spec->agreement);
    for (size_t i = 0; i < spec->dataset_count; i++)
        mr_dataset_close(&spec->datasets[i]);
    free(spec->datasets);
    free(spec->program);
    *spec = (mr_tenant_spec){0};
}

/* Topics are compared as Kafka compares metric names: `.` and `_` are one character; case is kept apart by
 * Kafka but not by every store, so it is one here. */
static bool topic_equal(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        const int x = *a == '.' ? '_' : tolower((unsigned char)*a);
        const int y = *b == '.' ? '_' : tolower((unsigned char)*b);
        if (x != y)
            return false;
    }
    return *a == *b;
}

const char *mr_sink_table(const mr_agreement_sink *sink, const mr_dataset *dataset)
{
    const char *table = mr_props_get(sink->options, "table");
    return table != NULL ? table : dataset->table;
}

static mr_err check_names(const mr_dataset *a, const mr_dataset *b, mr_error *ret_error)
{
    if (strcmp(a->name, b->name) == 0)
        return mr_fail(ret_error, MR_EINVALID, "%s: field \"name\": a dataset \"%s\" stands in %s already",
                       b->document, b->name, a->document);
    if (topic_equal(a->name, b->name))
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: field \"name\": \"%s\" and the \"%s\" of %s are too alike for topics",
                       b->document, b->name, a->name, a->document);
    return MR_OK;
}

/* Two datasets through one sink; or one, or two, through two sinks of a class. */
static mr_err check_tables(const mr_dataset *a, const mr_agreement_sink *x, const mr_dataset *b,
                           const mr_agreement_sink *y, const mr_agreement *agreement, mr_error *ret_error)
{
    const char *table = mr_sink_table(y, b);
    if (strcmp(x->class_name, y->class_name) != 0 || strcasecmp(a->key_space, b->key_space) != 0 ||
        strcasecmp(mr_sink_table(x, a), table) != 0)
        return MR_OK;
    if (a == b)
        return mr_fail(
            ret_error, MR_EINVALID,
            "%s: field \"sinks[%zu].table\": sinks \"%s\" and \"%s\" both write table \"%s\" of key "
            "space \"%s\"; give one another table",
            agreement->document, (size_t)(y - agreement->sinks), x->name, y->name, table, b->key_space);
    return mr_fail(ret_error, MR_EINVALID,
                   "%s: field \"table\": datasets \"%s\" and \"%s\" both write table \"%s\" of key space "
                   "\"%s\"; give one another table or key space",
                   b->document, a->name, b->name, table, b->key_space);
}

static mr_err check_pair(const mr_dataset *a, const mr_dataset *b, const mr_agreement *agreement,
                         mr_error *ret_error)
{
    mr_err err = a != b ? check_names(a, b, ret_error) : MR_OK;
    for (size_t i = 0; i < agreement->sink_count && err == MR_OK; i++)
        for (size_t j = 0; j < agreement->sink_count && err == MR_OK; j++)
            if (a != b || i < j)
                err = check_tables(a, &agreement->sinks[i], b, &agreement->sinks[j], agreement, ret_error);
    return err;
}

static mr_err check_datasets(const mr_tenant_spec *spec, mr_error *ret_error)
{
    if (spec->dataset_count == 0)
        return mr_fail(ret_error, MR_EINVALID, "a dataset is missing: submit at least one");
    for (size_t i = 0; i < spec->dataset_count; i++) {
        const mr_dataset *dataset = spec->datasets[i];
        if (spec->dataset_count > 1 && dataset->file_pattern == NULL)
            return mr_fail(ret_error, MR_EINVALID,
                           "%s: field \"file_pattern\": is missing; with several datasets each needs one",
                           dataset->document);
        for (size_t j = 0; j <= i; j++) {
            const mr_err err = check_pair(spec->datasets[j], dataset, spec->agreement, ret_error);
            if (err != MR_OK)
                return err;
        }
    }
    return MR_OK;
}

mr_err mr_tenant_spec_check(const mr_tenant_spec *spec, const char *tenant, mr_error *ret_error)
{
    if (spec->agreement == NULL)
        return mr_fail(ret_error, MR_EINVALID, "the agreement is missing");
    if (strcmp(spec->agreement->client, tenant) != 0)
        return mr_fail(ret_error, MR_EINVALID, "%s: field \"client\": is \"%s\", but the tenant is \"%s\"",
                       spec->agreement->document, spec->agreement->client, tenant);
    mr_time_zone *zone = NULL;
    mr_err err = mr_time_zone_open(spec->agreement->time_zone, &zone, ret_error);
    mr_time_zone_close(&zone);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "%s: field \"time_zone\"", spec->agreement->document);
    return check_datasets(spec, ret_error);
}

mr_err mr_tenant_spec_dataset_for(const mr_tenant_spec *spec, const char *file_name, const char *dataset,
                                  const mr_dataset **ret_dataset, mr_error *ret_error)
{
    for (size_t i = 0; i < spec->dataset_count; i++) {
        const mr_dataset *candidate = spec->datasets[i];
        if (dataset != NULL ? strcmp(candidate->name, dataset) == 0
                            : mr_dataset_matches(candidate, file_name)) {
            *ret_dataset = candidate;
            return MR_OK;
        }
    }
    if (dataset != NULL)
        return mr_fail(ret_error, MR_ENOTFOUND, "tenant %s has no dataset \"%.100s\"",
                       spec->agreement->client, dataset);
    if (spec->dataset_count != 1)
        return mr_fail(ret_error, MR_EINVALID,
                       "no file_pattern of tenant %s matches \"%.255s\"; name the dataset (?dataset=NAME)",
                       spec->agreement->client, file_name);
    *ret_dataset = spec->datasets[0];
    return MR_OK;
}
