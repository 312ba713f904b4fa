/* schedule_times.c - a tenant's schedule in the time of its zone; zones are read once an hour. */
#include "coordinator/service_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static mr_err find_zone(mr_service *service, const char *name, const mr_time_zone **ret_zone,
                        mr_error *ret_error)
{
    mr_time_zone *zone = mr_name_map_get(&service->zones, name);
    if (zone == NULL) {
        mr_err err = mr_time_zone_open(name, &zone, ret_error);
        if (err != MR_OK)
            return err;
        if (mr_name_map_put(&service->zones, mr_time_zone_name(zone), zone) != MR_OK) {
            mr_time_zone_close(&zone);
            return mr_fail(ret_error, MR_ENOMEM, "time zone %s: out of memory", name);
        }
    }
    *ret_zone = zone;
    return MR_OK;
}

mr_err mr_schedule_open(mr_service *service, const char *schedule, const char *time_zone,
                        mr_schedule *ret_schedule, mr_error *ret_error)
{
    mr_err err = mr_cron_parse(schedule, &ret_schedule->cron, ret_error);
    ret_schedule->zone = NULL;
    if (err != MR_OK || strcmp(time_zone, "UTC") == 0)
        return err;
    return find_zone(service, time_zone, &ret_schedule->zone, ret_error);
}

int64_t mr_schedule_next(const mr_schedule *schedule, int64_t after_ms)
{
    int64_t next = mr_cron_next(&schedule->cron, schedule->zone, after_ms / 1000);
    return next < 0 ? 0 : next * 1000;
}

int64_t mr_schedule_latest(const mr_schedule *schedule, int64_t from_ms, int64_t until_ms)
{
    int64_t latest = mr_cron_latest(&schedule->cron, schedule->zone, (from_ms - 1) / 1000, until_ms / 1000);
    return latest < 0 ? 0 : latest * 1000;
}

int64_t mr_schedule_count(const mr_schedule *schedule, int64_t from_ms, int64_t until_ms, int64_t limit)
{
    int64_t count = 0, at = from_ms - 1;
    while (count < limit && (at = mr_schedule_next(schedule, at)) != 0 && at <= until_ms)
        count++;
    return count;
}

void mr_zones_forget(mr_service *service)
{
    mr_time_zone *zone;
    for (size_t at = 0; (zone = mr_name_map_next(&service->zones, &at)) != NULL;)
        mr_time_zone_close(&zone);
    mr_name_map_fini(&service->zones);
    service->zones = (mr_name_map){0};
}

void mr_schedule_run_id(char *out, size_t size, int64_t due_ms)
{
    time_t seconds = (time_t)(due_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(out, size, "%Y%m%dT%H%M%SZ", &parts);
}
