/*
 * sallyport.h: everything. A C library of TLS ports with breakable blocking calls, and a thread-pool
 * server framework. Each part's header is its manual.
 */
#ifndef SALLYPORT_H
#define SALLYPORT_H

#include "sallyport/break.h"
#include "sallyport/connect.h"
#include "sallyport/context.h"
#include "sallyport/digest.h"
#include "sallyport/error.h"
#include "sallyport/handover.h"
#include "sallyport/inherit.h"
#include "sallyport/keylog.h"
#include "sallyport/library.h"
#include "sallyport/listener.h"
#include "sallyport/load.h"
#include "sallyport/log.h"
#include "sallyport/memory.h"
#include "sallyport/metrics.h"
#include "sallyport/names.h"
#include "sallyport/notify.h"
#include "sallyport/ocsp.h"
#include "sallyport/peer.h"
#include "sallyport/port.h"
#include "sallyport/proxy.h"
#include "sallyport/registry.h"
#include "sallyport/server.h"
#include "sallyport/session.h"
#include "sallyport/verify.h"
#include "sallyport/wrap.h"

#endif
