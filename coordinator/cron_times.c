/* cron_times.c - prints when schedules are due, for tests that compare them with another implementation.
 *
 * Each line of stdin is ZONE, FROM, UNTIL (seconds since 1970 UTC) and a schedule, parted by tabs; each gives
 * a line of the due times after FROM and up to UNTIL.
 */
#include "coordinator/cron.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mr_err print_times(char *line, mr_error *ret_error)
{
    mr_time_zone *zone = NULL;
    mr_cron cron;
    const char *name = strsep(&line, "\t"), *from = strsep(&line, "\t"), *until = strsep(&line, "\t");
    if (line == NULL)
        return mr_fail(ret_error, MR_EINVALID, "four fields are expected");
    line[strcspn(line, "\n")] = '\0';
    mr_err err = mr_time_zone_open(name, &zone, ret_error);
    if (err == MR_OK)
        err = mr_cron_parse(line, &cron, ret_error);
    int64_t at = strtoll(from, NULL, 10), end = strtoll(until, NULL, 10);
    while (err == MR_OK && (at = mr_cron_next(&cron, zone, at)) >= 0 && at <= end)
        printf("%" PRId64 " ", at);
    putchar('\n');
    mr_time_zone_close(&zone);
    return err;
}

int main(void)
{
    char line[1000];
    mr_error error;
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (print_times(line, &error) != MR_OK) {
            fprintf(stderr, "cron_times: %s\n", error.text);
            return 1;
        }
    }
    return 0;
}
