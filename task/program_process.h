/* program_process.h - a tenant's program: started in a clean environment, watched, and ended with all it
 * started. */
#ifndef MR_TASK_PROGRAM_PROCESS_H
#define MR_TASK_PROGRAM_PROCESS_H

#include "core/slice.h"

typedef struct program_spec {
    char *const *arguments;   /* [0] is the file to execute; a name without a slash is looked for in PATH */
    char *const *environment; /* all of it */
    const char *folder;       /* its working folder */
    int64_t deadline_ms;      /* how long it may run */
    int64_t grace_ms;         /* between SIGTERM and SIGKILL */
    int log_fd;               /* its output is appended here */
    int64_t log_max_bytes;
    int64_t data_max_bytes;      /* RLIMIT_DATA of each of its processes; 0: none */
    bool (*stopping)(void *arg); /* asked often: whether to end it before its time */
    void *stopping_arg;
} program_spec;

enum { PROGRAM_TAIL_BYTES = 240 };

typedef struct program_result {
    int exit_code;                     /* -signal when killed by one */
    bool late;                         /* ended by us: the deadline */
    bool stopped;                      /* ended by us: told to stop */
    char tail[PROGRAM_TAIL_BYTES + 1]; /* the end of its output, in one line of valid text */
} program_result;

/* Returns when the program and everything that descends from it are gone. An error: it could not be started,
 * or could not be ended. */
mr_err program_run(const program_spec *spec, program_result *ret_result, mr_error *ret_error);

#endif
