/* json_scan.h - goes through a JSON text that json_check has passed, without building anything of it.
 *
 *     json_scan scan = json_scan_of(text);
 *     for (json_enter(&scan); json_more(&scan);) {     an object
 *         mr_slice name = json_name(&scan);
 *         mr_slice value = json_value(&scan);
 *     }
 */
#ifndef MR_CORE_JSON_SCAN_H
#define MR_CORE_JSON_SCAN_H

#include "core/slice.h"

typedef struct json_scan {
    const char *at, *end;
} json_scan;

json_scan json_scan_of(mr_slice text);
/* Steps into the array or object that begins here. */
void json_enter(json_scan *scan);
/* Whether another element or member follows; if not, steps out. */
bool json_more(json_scan *scan);
/* The member's name, with its escapes, without its quotes. */
mr_slice json_name(json_scan *scan);
/* The text of the value that begins here, without white space around it; steps over it. Its first byte says
 * what it is: { [ " t f n, else a number. */
mr_slice json_value(json_scan *scan);

/* What stands between two quotes, without escapes, into `out`, which has room for raw.size; its size. */
size_t json_unescape(mr_slice raw, char *out);
/* The number of four hexadecimal digits, or -1. */
long json_hex4(const char *at);

#endif
