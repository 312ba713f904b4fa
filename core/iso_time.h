/* iso_time.h - dates and times between ISO 8601 text and Avro's numbers, in the proleptic Gregorian calendar.
 * Private to core/.
 *
 *     date        2026-11-24
 *     time        21:38, 21:38:15, 21:38:15.25
 *     timestamp   date, then T or one blank, then time, then nothing (UTC), Z, +02:00, +0200 or +02
 *
 * Years are 0000 to 9999, seconds 00 to 59. `digits` is how many decimal places of a second a unit stands
 * for: 3, 6 or 9; text may have more only if they are zeros.
 */
#ifndef MR_CORE_ISO_TIME_H
#define MR_CORE_ISO_TIME_H

#include "core/slice.h"

typedef enum iso_verdict { ISO_FITS, ISO_IS_NONE, ISO_TOO_FINE, ISO_OUT_OF_RANGE } iso_verdict;

iso_verdict iso_read_date(mr_slice text, int64_t *ret_days);
iso_verdict iso_read_time(mr_slice text, int digits, int64_t *ret_units);
/* zoned: a zone may follow; otherwise none may. */
iso_verdict iso_read_timestamp(mr_slice text, int digits, bool zoned, int64_t *ret_units);

enum { ISO_TEXT_BYTES = 48 };

/* The same forms, of one width within those years: HH:MM:SS with all `digits`, T, and Z when zoned. Other
 * years have a sign and at least six digits. */
void iso_print_date(int64_t days, char out[ISO_TEXT_BYTES]);
void iso_print_time(int64_t units, int digits, char out[ISO_TEXT_BYTES]);
void iso_print_timestamp(int64_t units, int digits, bool zoned, char out[ISO_TEXT_BYTES]);

#endif
