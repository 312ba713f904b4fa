#include "coordinator/trouble.h"

#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_key(char *key, size_t size, const char *what, const char *tenant)
{
    snprintf(key, size, "%s/%s", tenant, what);
}

void mr_troubles_fini(mr_troubles *troubles)
{
    mr_trouble *trouble;
    for (size_t at = 0; (trouble = mr_name_map_next(&troubles->by_key, &at)) != NULL;)
        free(trouble);
    mr_name_map_fini(&troubles->by_key);
}

static mr_trouble *add(mr_troubles *troubles, const char *what, const char *tenant, int64_t now_ms)
{
    mr_trouble *trouble = calloc(1, sizeof *trouble);
    if (trouble == NULL)
        return NULL;
    make_key(trouble->key, sizeof trouble->key, what, tenant);
    snprintf(trouble->what, sizeof trouble->what, "%s", what);
    snprintf(trouble->tenant, sizeof trouble->tenant, "%s", tenant);
    trouble->since_ms = now_ms;
    if (mr_name_map_put(&troubles->by_key, trouble->key, trouble) != MR_OK) {
        free(trouble);
        return NULL;
    }
    return trouble;
}

int64_t mr_trouble_begin(mr_troubles *troubles, const char *what, const char *tenant, const mr_error *error,
                         int64_t now_ms)
{
    char key[sizeof((mr_trouble *)0)->key];
    make_key(key, sizeof key, what, tenant);
    mr_trouble *trouble = mr_name_map_get(&troubles->by_key, key);
    if (trouble == NULL) {
        mr_log_failure(MR_ERROR, what, error, MR_STR("tenant", tenant));
        trouble = add(troubles, what, tenant, now_ms);
    }
    if (trouble == NULL) /* out of memory */
        return now_ms + MR_BACKOFF_CAP_MS;
    snprintf(trouble->text, sizeof trouble->text, "%s", error->text);
    return now_ms + mr_backoff_next_ms(&trouble->backoff);
}

void mr_trouble_end(mr_troubles *troubles, const char *what, const char *tenant, int64_t now_ms)
{
    char key[sizeof((mr_trouble *)0)->key];
    make_key(key, sizeof key, what, tenant);
    mr_trouble *trouble = mr_name_map_remove(&troubles->by_key, key);
    if (trouble == NULL)
        return;
    mr_log(MR_INFO, "went well again", MR_STR("step", what), MR_STR("tenant", tenant),
           MR_INT("after_ms", now_ms - trouble->since_ms));
    free(trouble);
}

const mr_trouble *mr_trouble_of(const mr_troubles *troubles, const char *tenant)
{
    const mr_trouble *trouble, *found = NULL;
    for (size_t at = 0; (trouble = mr_name_map_next(&troubles->by_key, &at)) != NULL;) {
        if (strcmp(trouble->tenant, tenant) == 0)
            return trouble;
        if (trouble->tenant[0] == '\0')
            found = trouble;
    }
    return found;
}
