/* L0 base: records on their way to the program (log.h of the public headers).
 *
 * Whoever has something to say asks first whether anybody listens, because texts cost time.
 */
#ifndef SALLY_LOG_RECORDS_H
#define SALLY_LOG_RECORDS_H

#include "sallyport/log.h"

static inline bool sally_log_wants(const ssl_log *log, ssl_log_level level)
{
    return log->call != NULL && level <= log->level;
}

/* Gives a record to the program, if it wants records of that level. Texts may be NULL. No lock may be
 * held. */
void sally_log_emit(const ssl_log *log, const ssl_log_record *record);

#endif
