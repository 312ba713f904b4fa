#include "coordinator/error_budget.h"

#include <stdio.h>

enum { LOW_PERCENT = 80 };

bool mr_has_error_budget(const mr_agreement *agreement)
{
    return agreement->max_rejected_percent >= 0 || agreement->max_rejected_rows >= 0;
}

int64_t mr_error_budget_rows(const mr_agreement *agreement, int64_t read)
{
    int64_t rows = agreement->max_rejected_rows;
    if (agreement->max_rejected_percent >= 0) {
        int64_t share = (int64_t)(agreement->max_rejected_percent * (double)read / 100);
        rows = rows < 0 || share < rows ? share : rows;
    }
    return rows;
}

bool mr_error_budget_is_low(const mr_agreement *agreement, int64_t read, int64_t rejected)
{
    return mr_has_error_budget(agreement) && rejected > 0 &&
           (double)rejected * 100 >= (double)mr_error_budget_rows(agreement, read) * LOW_PERCENT;
}

void mr_error_budget_words(const mr_agreement *agreement, int64_t read, int64_t rejected, char *out,
                           size_t size)
{
    if (agreement->max_rejected_rows >= 0 && rejected > agreement->max_rejected_rows)
        snprintf(out, size,
                 "%lld of %lld rows were rejected, max_rejected_rows allows %lld: no more were read",
                 (long long)rejected, (long long)read, (long long)agreement->max_rejected_rows);
    else
        snprintf(out, size, "%lld of %lld rows were rejected, max_rejected_percent allows %g %%",
                 (long long)rejected, (long long)read, agreement->max_rejected_percent);
}
