#include "coordinator/tenant_spec.h"

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

static mr_err check_pair(const mr_dataset *a, const mr_dataset *b, mr_error *ret_error)
{
    if (strcmp(a->name, b->name) == 0)
        return mr_fail(ret_error, MR_EINVALID, "two datasets are named \"%s\"", a->name);
    if (topic_equal(a->name, b->name))
        return mr_fail(ret_error, MR_EINVALID, "the dataset names \"%s\" and \"%s\" are too alike for topics",
                       a->name, b->name);
    if (strcasecmp(a->key_space, b->key_space) == 0 && strcasecmp(a->table, b->table) == 0)
        return mr_fail(ret_error, MR_EINVALID,
                       "datasets \"%s\" and \"%s\" both write table \"%s\" of key space \"%s\"", a->name,
                       b->name, a->table, a->key_space);
    return MR_OK;
}

static mr_err check_datasets(const mr_tenant_spec *spec, mr_error *ret_error)
{
    if (spec->dataset_count == 0)
        return mr_fail(ret_error, MR_EINVALID, "a dataset is missing: submit at least one");
    for (size_t i = 0; i < spec->dataset_count; i++) {
        const mr_dataset *dataset = spec->datasets[i];
        if (spec->dataset_count > 1 && dataset->file_pattern == NULL)
            return mr_fail(
                ret_error, MR_EINVALID,
                "dataset \"%s\": field \"file_pattern\": is missing; with several datasets each needs one",
                dataset->name);
        for (size_t j = 0; j < i; j++) {
            const mr_err err = check_pair(spec->datasets[j], dataset, ret_error);
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
        return mr_fail(ret_error, MR_EINVALID,
                       "agreement: field \"client\": is \"%s\", but the tenant is \"%s\"",
                       spec->agreement->client, tenant);
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
