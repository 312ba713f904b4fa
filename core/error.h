/* error.h - one way to fail, for the whole tree.
 *
 * A function that can fail returns mr_err and takes, as its last parameter, an mr_error that the caller
 * keeps on its stack; it may be NULL. Library code fills it in and stays silent; the caller with the context
 * adds what it was doing (mr_wrap) and logs once. Outputs are named ret_... and are written only on success.
 */
#ifndef MR_CORE_ERROR_H
#define MR_CORE_ERROR_H

typedef enum mr_err {
    MR_OK = 0,
    MR_ENOMEM,
    MR_EIO,      /* the operating system or a library refused: disk, socket, SQLite */
    MR_ENOSPC,   /* disk full, quota */
    MR_EINVALID, /* what a person or program gave us is wrong: file, option, body */
    MR_ENOTFOUND,
    MR_EEXISTS,      /* a name is taken */
    MR_EREFUSED,     /* not allowed in the present state */
    MR_ETOOLARGE,    /* beyond a documented bound */
    MR_ETIMEDOUT,    /* the deadline passed; nothing was done, or the callee says otherwise */
    MR_EUNAVAILABLE, /* the other side is away: try again later */
    MR_EFENCED,      /* a newer epoch owns this; stop writing (R2, R3) */
    MR_EUNKNOWN,     /* a commit whose outcome is not known (R5): throw the client away, open again */
    MR_EDATALOSS,    /* records that should be there are not */
    MR_EPROTOCOL,    /* a peer broke the protocol */
    MR_EBUG,         /* our own invariant does not hold */
} mr_err;

/* What the one who handles the error does about it (R9). */
typedef enum mr_err_class {
    MR_TRANSIENT, /* retry for ever, growing back-off */
    MR_CONFIG,    /* retry slowly, at once when a configuration changes */
    MR_BUG,       /* restart within a budget, then FAILED */
    MR_DATA,      /* never retry: reject the record */
    MR_FENCED,    /* stop; someone newer owns the work */
} mr_err_class;

typedef struct mr_error {
    mr_err code;
    mr_err_class class;
    char text[500]; /* for people: names the thing and the way out; context first, cause last */
} mr_error;

/* Fills *ret_error (unless NULL) with the class usual for `code`; returns `code`. */
mr_err mr_fail(mr_error *ret_error, mr_err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As mr_fail; code and the end of the text come from errno: ENOSPC, EDQUOT -> MR_ENOSPC; ENOMEM; ENOENT ->
 * MR_ENOTFOUND; EEXIST; ETIMEDOUT; the rest MR_EIO. What a disk refuses ends with the way out. */
mr_err mr_fail_errno(mr_error *ret_error, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text and returns the code as it was. */
mr_err mr_wrap(mr_error *ret_error, mr_err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Overrides the class; returns the code. */
mr_err mr_classify(mr_error *ret_error, mr_err code, mr_err_class class);

const char *mr_err_name(mr_err code);              /* "MR_EIO" */
const char *mr_err_class_name(mr_err_class class); /* "transient" */

#endif
