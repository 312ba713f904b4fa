#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static mr_err_class usual_class(mr_err code)
{
    switch (code) {
    case MR_OK:
    case MR_ENOMEM:
    case MR_EIO:
    case MR_ENOSPC:
    case MR_ETIMEDOUT:
    case MR_EUNAVAILABLE:
    case MR_EUNKNOWN:
    case MR_EPROTOCOL:
        return MR_TRANSIENT;
    case MR_EINVALID:
    case MR_ENOTFOUND:
    case MR_EEXISTS:
    case MR_EREFUSED:
    case MR_ETOOLARGE:
    case MR_EDATALOSS:
        return MR_CONFIG;
    case MR_EFENCED:
        return MR_FENCED;
    case MR_EBUG:
        return MR_BUG;
    }
    return MR_BUG;
}

mr_err mr_fail(mr_error *ret_error, mr_err code, const char *format, ...)
{
    if (ret_error != NULL) {
        va_list args;
        ret_error->code = code;
        ret_error->class = usual_class(code);
        va_start(args, format);
        vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
        va_end(args);
    }
    return code;
}

/* Puts ": cause" behind the first `used` bytes, as far as there is room. */
static void put_cause(mr_error *error, int used, const char *cause)
{
    size_t at = used < 0 ? 0 : (size_t)used;
    for (const char *c = ": "; *c != '\0' && at < sizeof error->text - 1; c++)
        error->text[at++] = *c;
    for (; *cause != '\0' && at < sizeof error->text - 1; cause++)
        error->text[at++] = *cause;
    if (at < sizeof error->text)
        error->text[at] = '\0';
}

/* The way out of what a disk refuses. */
static const char *advice_for(int errnum)
{
    switch (errnum) {
    case ENOSPC:
        return "; make room there";
    case EDQUOT:
        return "; make room there or raise the quota";
    case EROFS:
        return "; mount it writable";
    case EIO:
        return "; look at the disk";
    default:
        return "";
    }
}

static mr_err code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return MR_ENOSPC;
    case ENOMEM:
        return MR_ENOMEM;
    case ENOENT:
        return MR_ENOTFOUND;
    case EEXIST:
        return MR_EEXISTS;
    case ETIMEDOUT:
        return MR_ETIMEDOUT;
    default:
        return MR_EIO;
    }
}

mr_err mr_fail_errno(mr_error *ret_error, int errnum, const char *format, ...)
{
    mr_err code = code_of_errno(errnum);
    if (ret_error != NULL) {
        va_list args;
        char reason[128], cause[200];
        ret_error->code = code;
        ret_error->class = usual_class(code);
        va_start(args, format);
        int used = vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
        va_end(args);
        snprintf(cause, sizeof cause, "%s%s", strerror_r(errnum, reason, sizeof reason), advice_for(errnum));
        put_cause(ret_error, used, cause);
    }
    return code;
}

mr_err mr_wrap(mr_error *ret_error, mr_err code, const char *format, ...)
{
    if (ret_error != NULL) {
        char cause[sizeof ret_error->text];
        va_list args;
        memcpy(cause, ret_error->text, sizeof cause);
        va_start(args, format);
        int used = vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
        va_end(args);
        put_cause(ret_error, used, cause);
    }
    return code;
}

mr_err mr_classify(mr_error *ret_error, mr_err code, mr_err_class class)
{
    if (ret_error != NULL)
        ret_error->class = class;
    return code;
}

const char *mr_err_name(mr_err code)
{
    switch (code) {
    case MR_OK:
        return "MR_OK";
    case MR_ENOMEM:
        return "MR_ENOMEM";
    case MR_EIO:
        return "MR_EIO";
    case MR_ENOSPC:
        return "MR_ENOSPC";
    case MR_EINVALID:
        return "MR_EINVALID";
    case MR_ENOTFOUND:
        return "MR_ENOTFOUND";
    case MR_EEXISTS:
        return "MR_EEXISTS";
    case MR_EREFUSED:
        return "MR_EREFUSED";
    case MR_ETOOLARGE:
        return "MR_ETOOLARGE";
    case MR_ETIMEDOUT:
        return "MR_ETIMEDOUT";
    case MR_EUNAVAILABLE:
        return "MR_EUNAVAILABLE";
    case MR_EFENCED:
        return "MR_EFENCED";
    case MR_EUNKNOWN:
        return "MR_EUNKNOWN";
    case MR_EDATALOSS:
        return "MR_EDATALOSS";
    case MR_EPROTOCOL:
        return "MR_EPROTOCOL";
    case MR_EBUG:
        return "MR_EBUG";
    }
    return "MR_?";
}

const char *mr_err_class_name(mr_err_class class)
{
    switch (class) {
    case MR_TRANSIENT:
        return "transient";
    case MR_CONFIG:
        return "config";
    case MR_BUG:
        return "bug";
    case MR_DATA:
        return "data";
    case MR_FENCED:
        return "fenced";
    }
    return "?";
}
