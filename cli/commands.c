/* commands.c - all commands; dispatch and help come from this table. */
#include "cli/commands.h"

static const option_spec none[] = {{0}};
static const option_spec apply_options[] = {{"--strict", NULL, "refuse what would load with a warning"}, {0}};
static const option_spec delete_options[] = {
    {"--purge", NULL, "also with files or undelivered rows, which are abandoned"}, {0}};
static const option_spec upload_options[] = {
    {"--dataset", "NAME", "dataset of the files; else by its file_pattern"}, {0}};
static const option_spec files_options[] = {
    {"--state", "STATE", "ready, claimed, done, failed or abandoned; default: all"},
    {"--limit", "N", "at most so many; default 1000"},
    {0}};
static const option_spec now_options[] = {{"--wait", NULL, "until all files that are ready now were handled"},
                                          {0}};
static const option_spec limit_options[] = {{"--limit", "N", "at most so many; default 100"}, {0}};
static const option_spec ledger_options[] = {{"--run", "RUN", "of this run only"},
                                             {"--dataset", "NAME", "of this dataset only"},
                                             {"--limit", "N", "of the newest N runs; default 1000"},
                                             {0}};
static const option_spec audit_options[] = {
    {"--what", "WHAT", "this kind of change only: apply_tenant, upload, run_now, ..."},
    {"--before", "ID", "older than this entry"},
    {"--limit", "N", "at most so many; default 100"},
    {0}};
static const option_spec rejected_options[] = {{"--dataset", "NAME", "of this dataset only"},
                                               {"--from", "OFFSET", "starting at this offset"},
                                               {"--limit", "N", "at most so many; default 100"},
                                               {0}};

static const option_spec next_options[] = {
    {"--time-zone", "ZONE", "IANA name, such as Europe/Helsinki; default UTC"},
    {"--from", "TIME", "after this time in UTC, such as 2026-03-01T12:00:00Z; default now"},
    {"--count", "N", "so many times, at most 1000; default 5"},
    {0}};
static const option_spec backfill_options[] = {
    {"--from", "TIME", "first due time, such as 2026-03-01T12:00:00Z"},
    {"--to", "TIME", "last due time; not after now"},
    {"--dry-run", NULL, "only show which runs it would be"},
    {0}};
static const option_spec download_options[] = {
    {"--dataset", "NAME", "of this dataset; may be left out where there is one"},
    {"--run", "RUN", "what this run rejected only"},
    {0}};
static const option_spec replay_options[] = {{"--dataset", "NAME", "of this dataset only"},
                                             {"--run", "RUN", "that this run rejected only"},
                                             {"--force", NULL, "also those that were replayed before"},
                                             {"--wait", NULL, "until the run has ended"},
                                             {0}};

const cli_command commands[] = {
    {"tenant", "apply", "DIR", 1, 1, apply_options, tenant_apply,
     "Creates or replaces a tenant from a folder",
     "  DIR holds agreement.json, dataset.json or datasets/*.json, and program/ with an executable `run` "
     "(optional).\n"
     "  All of it is checked as a whole; nothing is stored when a part of it is refused.\n",
     "  millrace tenant apply tenants/client_a\n"
     "  millrace tenant apply tenants/client_a --strict\n"},
    {"tenant", "validate", "DIR", 1, 1, apply_options, tenant_validate,
     "Checks a folder as apply does; stores nothing", NULL,
     "  millrace tenant validate tenants/client_a --strict\n"},
    {"tenant", "show", "TENANT", 1, 1, none, tenant_show, "Shows one tenant", NULL,
     "  millrace tenant show client_a\n"
     "  millrace tenant show client_a --output json\n"},
    {"tenant", "list", "", 0, 0, none, tenant_list, "Lists all tenants", NULL, "  millrace tenant list\n"},
    {"tenant", "delete", "TENANT", 1, 1, delete_options, tenant_delete, "Removes a tenant", NULL,
     "  millrace tenant delete client_a\n"
     "  millrace tenant delete client_a --purge\n"},

    {NULL, "upload", "TENANT FILE...", 2, -1, upload_options, upload,
     "Sends files to wait for the tenant's next run", NULL,
     "  millrace upload client_a rows.csv\n"
     "  millrace upload client_a 2026-*.csv --dataset speed-tracking-data\n"},
    {NULL, "files", "TENANT", 1, 1, files_options, files, "Lists a tenant's files and what became of them",
     NULL,
     "  millrace files client_a\n"
     "  millrace files client_a --state failed\n"},

    {"run", "now", "TENANT", 1, 1, now_options, run_now, "Runs a tenant now, behind the run that is active",
     "  With --wait the exit code is 0 when all files that were ready were handled, rejected rows included, "
     "and 1 when\n"
     "  a run of them failed. A coordinator that restarts meanwhile is waited for, up to a minute.\n",
     "  millrace run now client_a\n"
     "  millrace run now client_a --wait\n"},
    {"run", "list", "[TENANT]", 0, 1, limit_options, run_list, "Lists runs, the newest first", NULL,
     "  millrace run list\n"
     "  millrace run list client_a --limit 10\n"},
    {"run", "show", "TENANT RUN", 2, 2, none, run_show, "Shows one run with its datasets and tasks", NULL,
     "  millrace run show client_a manual-1\n"},
    {"run", "logs", "TENANT RUN", 2, 2, none, run_logs, "Prints what the run's program printed", NULL,
     "  millrace run logs client_a manual-1\n"},
    {"run", "cancel", "TENANT RUN", 2, 2, none, run_cancel,
     "Ends a run that has stored nothing; its files wait again", NULL,
     "  millrace run cancel client_a manual-1\n"},
    {"run", "retry", "TENANT RUN", 2, 2, none, run_retry,
     "Runs a failed run's files again, or starts its failed tasks", NULL,
     "  millrace run retry client_a manual-1\n"},
    {"run", "abandon", "TENANT RUN", 2, 2, none, run_abandon,
     "Ends a run; rows that are not delivered count as abandoned", NULL,
     "  millrace run abandon client_a manual-1\n"},

    {"schedule", "show", "[TENANT]", 0, 1, none, schedule_show,
     "Shows schedules in words, and the next five times", NULL,
     "  millrace schedule show client_a\n"
     "  millrace schedule show\n"},
    {"schedule", "next", "SCHEDULE", 1, 1, next_options, schedule_next,
     "Shows when any schedule would be due; changes nothing",
     "  SCHEDULE is five fields of cron, as in an agreement. Times are in UTC.\n",
     "  millrace schedule next '0 8 * * MON-FRI' --time-zone Europe/Helsinki\n"
     "  millrace schedule next @daily --from 2026-03-28T00:00:00Z --count 3\n"},
    {"schedule", "suspend", "TENANT", 1, 1, none, schedule_suspend,
     "No due time becomes a run until it is resumed", NULL, "  millrace schedule suspend client_a\n"},
    {"schedule", "resume", "TENANT", 1, 1, none, schedule_resume,
     "Due times become runs again; missed ones are caught up as the agreement says", NULL,
     "  millrace schedule resume client_a\n"},
    {"schedule", "backfill", "TENANT", 1, 1, backfill_options, schedule_backfill,
     "Queues runs of past due times that have none, in their order",
     "  The program of such a run reads the time it stands for in DUE_TIME. At most 100 runs at once.\n",
     "  millrace schedule backfill client_a --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z "
     "--dry-run\n"},
    {"worker", "list", "", 0, 0, none, worker_list, "Lists workers and whether they report", NULL,
     "  millrace worker list\n"},
    {NULL, "ledger", "[TENANT]", 0, 1, ledger_options, ledger, "Shows what became of every row",
     "  read = filtered + rejected_source + produced; produced = delivered + rejected_sink + abandoned + "
     "in_flight\n",
     "  millrace ledger client_a\n"
     "  millrace ledger client_a --run manual-1 --output json\n"},
    {NULL, "audit", "[TENANT]", 0, 1, audit_options, audit, "Shows who changed what, the newest first",
     "  Of a tenant also after it was deleted. The table has the beginning of what was before and after; "
     "with "
     "--output json\n"
     "  it is whole.\n",
     "  millrace audit client_a\n"
     "  millrace audit --what apply_tenant --limit 10 --output json\n"},
    {"rejected", "list", "TENANT", 1, 1, rejected_options, rejected_list,
     "Lists rejected rows with their reasons", NULL,
     "  millrace rejected list client_a\n"
     "  millrace rejected list client_a --dataset speed-tracking-data --limit 10\n"},
    {"rejected", "show", "TENANT TOPIC OFFSET", 3, 3, none, rejected_show, "Shows one rejected row", NULL,
     "  millrace rejected show client_a client_a.speed-tracking-data.rejected 17\n"},
    {"rejected", "download", "TENANT", 1, 1, download_options, rejected_download,
     "Writes rejected rows as a CSV file to standard output",
     "  In the dataset's own columns, to be mended and uploaded again; the columns rejected_reason, "
     "rejected_file and\n"
     "  rejected_line are passed over then. A row that does not fall into its columns is in rejected_row, "
     "with one "
     "cell\n"
     "  too many behind it: it is rejected again unless it is mended. Without a header in the dataset's "
     "files the "
     "rows are\n"
     "  bare.\n",
     "  millrace rejected download client_a > mend.csv\n"
     "  millrace rejected download client_a --dataset speed-tracking-data --run manual-1 > mend.csv\n"},
    {"rejected", "replay", "TENANT", 1, 1, replay_options, rejected_replay,
     "Gives rejected rows to conversion again, in a run of its own",
     "  For rows whose cause has gone: the schema has more columns, there are more null values, the store "
     "was "
     "mended.\n"
     "  Rows that fail again are rejected again. With --wait the exit code is 0 when the run has "
     "completed.\n",
     "  millrace rejected replay client_a --wait\n"
     "  millrace rejected replay client_a --dataset speed-tracking-data --run manual-1\n"},
    {NULL, "query", "TENANT SQL", 2, 2, none, query, "Asks a tenant's stores by read-only SQL",
     "  Rows are printed as they come. With --output json it is an array of objects.\n",
     "  millrace query client_a 'SELECT count(*) AS n FROM analytics'\n"
     "  millrace query client_a 'SELECT * FROM analytics LIMIT 5' --output json\n"},
    {NULL, "status", "", 0, 0, none, status, "Tells whether all is well; what is not, and since when", NULL,
     "  millrace status\n"},
    {.name = NULL},
};
