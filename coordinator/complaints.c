#include "coordinator/complaints.h"

#include "core/log.h"

#include <stddef.h>

enum { QUIET_MS = 10000 };

void mr_complain(mr_complaints *complaints, int64_t now_ms, const char *event, const char *why,
                 const char *peer)
{
    if (complaints->told_ms != 0 && now_ms - complaints->told_ms < QUIET_MS) {
        complaints->untold++;
        return;
    }
    mr_log(MR_WARN, event, MR_STR("error", why), MR_STR("peer", peer != NULL ? peer : "unknown"),
           MR_INT("others", complaints->untold));
    *complaints = (mr_complaints){.told_ms = now_ms};
}
