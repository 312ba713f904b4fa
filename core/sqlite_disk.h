/* sqlite_disk.h - what the disk said, where SQLite only says that it failed. For those who link SQLite. */
#ifndef MR_CORE_SQLITE_DISK_H
#define MR_CORE_SQLITE_DISK_H

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/statvfs.h>

/* SQLite does not always keep the errno of a write. */
static inline bool mr_sqlite_is_read_only(sqlite3 *db)
{
    struct statvfs disk;
    const char *path = db == NULL ? NULL : sqlite3_db_filename(db, "main");
    return path != NULL && statvfs(path, &disk) == 0 && (disk.f_flag & ST_RDONLY) != 0;
}

/* The errno of a failure that is about the disk, for mr_fail_errno; 0 when it is about something else. `code`
 * is extended or not; `db` may be NULL. */
static inline int mr_sqlite_disk_errno(sqlite3 *db, int code)
{
    int errnum = db == NULL ? 0 : sqlite3_system_errno(db);
    if (errnum != ENOSPC && errnum != EDQUOT && errnum != EROFS && errnum != EIO)
        errnum = 0; /* of the files that SQLite only looks for */
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_READONLY:
        return code == SQLITE_READONLY_DBMOVED ? 0 : EROFS;
    case SQLITE_CANTOPEN:
        return errnum;
    case SQLITE_IOERR:
        return errnum != 0 ? errnum : mr_sqlite_is_read_only(db) ? EROFS : EIO;
    default:
        return 0;
    }
}

#endif
