/* commands.h - the functions that commands.c names. */
#ifndef MR_CLI_COMMANDS_H
#define MR_CLI_COMMANDS_H

#include "cli/command.h"

/* tenant_commands.c */
int tenant_apply(const cli_call *call);
int tenant_validate(const cli_call *call);
int tenant_show(const cli_call *call);
int tenant_list(const cli_call *call);
int tenant_delete(const cli_call *call);

/* file_commands.c */
int upload(const cli_call *call);
int files(const cli_call *call);

/* run_commands.c, run_wait.c */
int run_now(const cli_call *call);
int run_list(const cli_call *call);
int run_show(const cli_call *call);
int run_logs(const cli_call *call);
int run_cancel(const cli_call *call);
int run_retry(const cli_call *call);
int run_abandon(const cli_call *call);
int wait_for_run(const cli_call *call, const char *tenant, json_t *asked);

/* look_commands.c */
int schedule_show(const cli_call *call);
int schedule_next(const cli_call *call);
int schedule_suspend(const cli_call *call);
int schedule_resume(const cli_call *call);
int schedule_backfill(const cli_call *call);
int worker_list(const cli_call *call);
int ledger(const cli_call *call);
int status(const cli_call *call);

/* audit_command.c */
int audit(const cli_call *call);

/* rejected_commands.c */
int rejected_list(const cli_call *call);
int rejected_show(const cli_call *call);
int rejected_download(const cli_call *call);
int rejected_replay(const cli_call *call);

/* query_command.c */
int query(const cli_call *call);

#endif
