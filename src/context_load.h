/* L3 crypto: loading into a context, for the calls that name a listener in its place.
 *
 * Each does what the public call of its name does, whole (E1 too), under the name `call`.
 */
#ifndef SALLY_CONTEXT_LOAD_H
#define SALLY_CONTEXT_LOAD_H

#include "sallyport/load.h"

ssl_status sally_context_load_chain(ssl_context *context, const char *path, const char *call,
                                    ssl_error *err);
ssl_status sally_context_load_key(ssl_context *context, const char *path,
                                  const ssl_key_options *options, const char *call, ssl_error *err);
ssl_status sally_context_load_roots(ssl_context *context, const char *path, const char *call,
                                    ssl_error *err);
ssl_status sally_context_load_suggested(ssl_context *context, const char *path, const char *call,
                                        ssl_error *err);

#endif
