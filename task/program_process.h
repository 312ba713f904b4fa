/* program_process.h - a tenant's program: started in a clean environment, watched, and ended with all it
 * started. */
#ifndef MR_TASK_PROGRAM_PROCESS_H
#define MR_TASK_PROGRAM_PROCESS_H

#include "core/account.h"
#include "core/slice.h"

typedef struct program_spec {
    char *const *arguments;   /* [0] is the file to execute; a name without a slash is looked for in PATH */
    char *const *environment; /* all of it */
    const char *folder;       /* its working folder */
    const mr_account *user;   /* whom it runs as; NULL: as this process */
    int64_t deadline_ms;      /* how long it may run */
    int64_t grace_ms;         /* between SIGTERM and SIGKILL */
    int log_fd;               /* its output is appended here */
    int64_t log_max_bytes;
    int64_t data_max_bytes;  /* RLIMIT_DATA of each of its processes; 0: none */
    int64_t file_max_bytes;  /* RLIMIT_FSIZE of each of its processes; 0: none */
    int processes_max;       /* more at a time end it; 0: no bound */
    bool (*full)(void *arg); /* asked often: whether it has filled its folder; NULL: never */
    void *full_arg;
    bool (*stopping)(void *arg); /* asked often: whether to end it before its time */
    void *stopping_arg;
} program_spec;

enum { PROGRAM_TAIL_BYTES = 240 };

typedef enum program_end {
    PROGRAM_EXITED,
    /* ended by us: */
    PROGRAM_LATE,    /* at its deadline */
    PROGRAM_STOPPED, /* told to stop */
    PROGRAM_CROWDED, /* too many processes */
    PROGRAM_FULL,    /* too much on disk */
} program_end;

typedef struct program_result {
    program_end end;
    int exit_code;                     /* of its first process; -signal when killed by one */
    int processes;                     /* there were so many when we ended them; 0: they had all ended */
    char tail[PROGRAM_TAIL_BYTES + 1]; /* the end of its output, in one line of valid text */
} program_result;

/* Returns when the program and everything that descends from it are gone. An error: it could not be started,
 * or could not be ended. */
mr_err program_run(const program_spec *spec, program_result *ret_result, mr_error *ret_error);

#endif
